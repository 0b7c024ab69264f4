"""The Vault secret store, write side: KV v2 with check-and-set, by a role without the right to read.

The version pinned by an integration is KV v2's own. Metadata stays when versions are destroyed, as the row
stays in the database: so no version number is ever used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken
from shared.providers import ProviderName
from shared.secret_document import SecretDocument, SecretDocumentError, to_fields
from shared.vault_session import VaultConflict, VaultDenied, VaultFailure, VaultMissing, VaultSession

MAX_GAP_VERSIONS: Final = 1_000
"""How far Vault's versions may be behind the rows', after a restore of Vault; the gap is filled."""
MAX_ROUNDS: Final = 5
DEFAULT_MAX_VERSIONS: Final = 10
"""The number of versions kept by KV v2 without a number of the secret's or the engine's own."""
_RIGHTS: Final = {"data": {"create", "update"}, "destroy": {"update"}, "metadata": {"read"}}
_TOO_MUCH: Final = {"read", "root"}
_PLACEHOLDER: Final[dict[str, str]] = {}


class VaultSecretWriter:
    """A `SecretWriter`; closing the writer closes the given `session`."""

    def __init__(self, session: VaultSession) -> None:
        self.session = session
        self._mount = session.target.mount

    def write(self, document: SecretDocument, version: int) -> None:
        """See `SecretWriter`."""
        try:
            path = self.session.target.path(document.org, document.provider)
            for _ in range(MAX_ROUNDS):
                if self._append(path, to_fields(document), version):
                    return
                if (latest := max(self._versions(path), default=0)) >= version:
                    raise SecretVersionTaken(latest)
                self._fill(path, latest, version)
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretStoreError(str(error)) from None
        raise SecretStoreError("other writers changed the secret all the time")

    def keeps(self, org: str, provider: ProviderName, *, pinned: int, version: int) -> bool:
        """See `SecretWriter`. Vault goes by the higher of the secret's and the engine's number."""
        try:
            about = self._metadata(self.session.target.path(org, provider))
            kept = max(about.get("max_versions", 0), self._engine_max_versions())
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretStoreError(str(error)) from None
        return version - pinned < (kept or DEFAULT_MAX_VERSIONS)

    def destroy(self, org: str, provider: ProviderName, through: int) -> None:
        """See `SecretWriter`."""
        try:
            path = self.session.target.path(org, provider)
            versions = self._versions(path)
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretStoreError(str(error)) from None
        left = [version for version, gone in versions.items() if version <= through and not gone]
        self.destroy_versions(org, provider, left)

    def stored(self, org: str, provider: ProviderName) -> Mapping[int, float]:
        """See `SecretWriter`."""
        try:
            about = self._metadata(self.session.target.path(org, provider)).get("versions", {})
            return {
                int(number): datetime.fromisoformat(version["created_time"]).timestamp()
                for number, version in about.items()
                if not version["destroyed"]
            }
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretStoreError(str(error)) from None
        except (KeyError, TypeError, ValueError):
            raise SecretStoreError("Vault does not tell what it stores") from None

    def destroy_versions(self, org: str, provider: ProviderName, versions: Collection[int]) -> None:
        """See `SecretWriter`."""
        if not versions:
            return
        try:
            path = self.session.target.path(org, provider)
            self.session.call(
                lambda client: self._kv(client).destroy_secret_versions(path, sorted(versions), self._mount)
            )
        except VaultMissing:
            return
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretStoreError(str(error)) from None

    def wrong_rights(self) -> list[str]:
        """List the wrong rights of this role, a sentence each; for the operator's check.

        Raises:
            SecretStoreError: Vault cannot be asked.
        """
        sentences = []
        try:
            path = self.session.target.path("any", "openai")
            for area, wanted in _RIGHTS.items():
                held = self.session.rights(f"{self._mount}/{area}/{path}")
                lacking = sorted(wanted - held) if "root" not in held else []
                if lacking:
                    sentences.append(f"The control plane's role lacks {', '.join(lacking)} on {area}/.")
                if area == "data" and held & _TOO_MUCH:
                    sentences.append("The control plane's role can read keys back; it must not.")
        except VaultFailure as error:
            raise SecretStoreError(str(error)) from None
        return sentences

    def close(self) -> None:
        """See `SecretWriter`."""
        self.session.close()

    def _append(self, path: str, fields: dict[str, str], version: int) -> bool:
        """Write `version`; False, and nothing written, unless the latest version is the one before."""
        try:
            answer = self.session.call(
                lambda client: self._kv(client).create_or_update_secret(
                    path, fields, cas=version - 1, mount_point=self._mount
                )
            )
        except VaultConflict:
            return False
        if _data_of(answer).get("version") != version:
            raise VaultFailure("Vault did not say that it wrote the version")
        return True

    def _versions(self, path: str) -> dict[int, bool]:
        """Which versions Vault knows of, and whether each is destroyed; also the latest, if forgotten."""
        data = self._metadata(path)
        if not data:
            return {}
        versions = {int(number): bool(about["destroyed"]) for number, about in data["versions"].items()}
        return {data["current_version"]: True} | versions

    def _metadata(self, path: str) -> dict[str, Any]:
        """Read Vault's statement about the versions; {} without any version so far."""
        try:
            return _data_of(
                self.session.call(
                    lambda client: self._kv(client).read_secret_metadata(path, mount_point=self._mount)
                )
            )
        except VaultMissing:
            return {}

    def _engine_max_versions(self) -> int:
        """Read how many versions the engine keeps of a secret; 0: no number, or no right to read it."""
        try:
            answer = self.session.call(
                lambda client: self._kv(client).read_configuration(mount_point=self._mount)
            )
        except VaultDenied:
            return 0
        return int(_data_of(answer).get("max_versions") or 0)

    def _fill(self, path: str, latest: int, version: int) -> None:
        """Bring Vault's counter up to just before `version` by empty versions, which no reader accepts."""
        if version - latest > MAX_GAP_VERSIONS:
            raise SecretStoreError(f"Vault is {version - latest} versions behind; was another one restored?")
        for missing in range(latest + 1, version):
            if not self._append(path, _PLACEHOLDER, missing):
                return

    @staticmethod
    def _kv(client: Any) -> Any:
        return client.secrets.kv.v2


def _data_of(answer: Any) -> dict[str, Any]:
    """The data of a KV v2 answer; a proxy's error page is none, whatever its status."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise VaultFailure("what answers at Vault's address is not a KV v2 engine")
    return data
