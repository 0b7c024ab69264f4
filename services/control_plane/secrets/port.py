"""The write side of the secret store: the control plane's operations there. No key can be read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from shared.providers import ProviderName
from shared.secret_document import SecretDocument


class SecretStoreError(Exception):
    """The store did not perform the operation; the message holds no content of a secret."""


class SecretVersionTaken(SecretStoreError):  # noqa: N818  # what check-and-set found, not a failure
    """The wanted version or a higher version exists already; `latest` is the highest."""

    def __init__(self, latest: int) -> None:
        super().__init__(f"version {latest} of this secret already exists")
        self.latest = latest


class SecretWriter(Protocol):
    """Writes versions of secrets and destroys them. Thread-safe; calls block."""

    def write(self, document: SecretDocument, version: int) -> None:
        """Store `document` as `version`, durably, unless this or a higher version exists.

        Raises:
            SecretVersionTaken: something does; nothing was written.
            SecretStoreError: the store failed; whether the version was written is unknown.
        """
        ...

    def keeps(self, org: str, provider: ProviderName, *, pinned: int, version: int) -> bool:
        """Whether `pinned` can still be read after `version` is written: stores forget old versions.

        Raises:
            SecretStoreError: the store failed.
        """
        ...

    def destroy(self, org: str, provider: ProviderName, through: int) -> None:
        """Destroy every version up to `through`; those already gone are no error.

        Raises:
            SecretStoreError: some may still be there.
        """
        ...

    def stored(self, org: str, provider: ProviderName) -> Mapping[int, float]:
        """Tell which versions are there and not destroyed, and when each was made (Unix seconds).

        Raises:
            SecretStoreError: the store failed.
        """
        ...

    def destroy_versions(self, org: str, provider: ProviderName, versions: Collection[int]) -> None:
        """Destroy exactly these; those already gone are no error.

        Raises:
            SecretStoreError: some may still be there.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
