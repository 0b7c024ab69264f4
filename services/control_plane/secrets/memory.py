"""The secret store of unit tests: keeps documents in memory and can be told to fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock

from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken
from shared.clock import Clock, unix_now
from shared.providers import ProviderName
from shared.secret_document import SecretDocument


class MemorySecretWriter:
    """A `SecretWriter`. `documents`: versions by (org, provider); `failing` makes every call raise."""

    def __init__(self, clock: Clock = unix_now) -> None:
        self._clock = clock
        self._made: dict[tuple[str, ProviderName, int], float] = {}
        self.documents: dict[tuple[str, ProviderName], dict[int, SecretDocument]] = {}
        self.writes = 0
        self.failing = False
        self._lock = Lock()

    def write(self, document: SecretDocument, version: int) -> None:
        """See `SecretWriter`."""
        with self._lock:
            self._check()
            versions = self.documents.setdefault((document.org, document.provider), {})
            if (latest := max(versions, default=0)) >= version:
                raise SecretVersionTaken(latest)
            versions[version] = document
            self._made[document.org, document.provider, version] = self._clock()
            self.writes += 1

    def keeps(self, org: str, provider: ProviderName, *, pinned: int, version: int) -> bool:  # noqa: ARG002  # the port's
        """See `SecretWriter`. Nothing is forgotten here."""
        return True

    def destroy(self, org: str, provider: ProviderName, through: int) -> None:
        """See `SecretWriter`."""
        with self._lock:
            self._check()
            versions = self.documents.get((org, provider), {})
            for version in [known for known in versions if known <= through]:
                del versions[version]

    def stored(self, org: str, provider: ProviderName) -> Mapping[int, float]:
        """See `SecretWriter`."""
        with self._lock:
            self._check()
            known = self.documents.get((org, provider), {})
            return {version: self._made[org, provider, version] for version in known}

    def destroy_versions(self, org: str, provider: ProviderName, versions: Collection[int]) -> None:
        """See `SecretWriter`."""
        with self._lock:
            self._check()
            for version in versions:
                self.documents.get((org, provider), {}).pop(version, None)

    def close(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if self.failing:
            raise SecretStoreError("the secret store is switched off")
