"""The local encrypted secret store, write side: private files in the format of `shared/sealed_file.py`.

Files appear under their final name only when complete, and never replace another: a hard link made from a
synced temporary file gives both, also between processes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken
from shared import sealed_file
from shared.providers import ProviderName
from shared.secret_document import SecretDocument, to_json

_TEMPORARY_PREFIX: Final = ".new-"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_PEPPER_INFO: Final = b"run9 ai gateway: key fingerprints"


class LocalSecretWriter:
    """A `SecretWriter` below a folder; missing folders and keys are made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with _os_errors_as("the secret store's folder cannot be set up"):
            _make_folders(root, root)
            _make_key(root)
        try:
            self._key = sealed_file.read_key(root)
        except sealed_file.SealError as error:
            raise SecretStoreError(str(error)) from None

    def pepper(self) -> bytes:
        """A key for fingerprints, derived from the store's: in no database, and lost only with the store."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PEPPER_INFO).derive(self._key)

    def write(self, document: SecretDocument, version: int) -> None:
        """See `SecretWriter`."""
        sealed = sealed_file.seal(self._key, document.org, document.provider, version, to_json(document))
        folder = sealed_file.folder_of(self._root, document.org, document.provider)
        with _os_errors_as("the secret could not be written"):
            _make_folders(self._root, folder)
            if (latest := max(_versions(folder), default=0)) >= version:
                raise SecretVersionTaken(latest)
            final = sealed_file.file_of(self._root, document.org, document.provider, version)
            if not _create(final, sealed):
                raise SecretVersionTaken(max(_versions(folder), default=version))

    def keeps(self, org: str, provider: ProviderName, *, pinned: int, version: int) -> bool:  # noqa: ARG002  # the port's
        """See `SecretWriter`. Nothing is forgotten here."""
        return True

    def destroy(self, org: str, provider: ProviderName, through: int) -> None:
        """See `SecretWriter`. A file system can only remove a file; its content is sealed anyway."""
        folder = sealed_file.folder_of(self._root, org, provider)
        with _os_errors_as("the secret could not be destroyed"):
            gone = [version for version in _versions(folder) if version <= through]
        self.destroy_versions(org, provider, gone)

    def stored(self, org: str, provider: ProviderName) -> Mapping[int, float]:
        """See `SecretWriter`."""
        folder = sealed_file.folder_of(self._root, org, provider)
        with _os_errors_as("the secrets could not be looked at"):
            found = ((version, _made_at(self._root, org, provider, version)) for version in _versions(folder))
            return {version: made for version, made in found if made is not None}

    def destroy_versions(self, org: str, provider: ProviderName, versions: Collection[int]) -> None:
        """See `SecretWriter`."""
        with _os_errors_as("the secret could not be destroyed"):
            for version in versions:
                sealed_file.file_of(self._root, org, provider, version).unlink(missing_ok=True)
            folder = sealed_file.folder_of(self._root, org, provider)
            if versions and folder.is_dir():
                _sync_folder(folder)

    def close(self) -> None:
        """Nothing is held."""


def _versions(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    found = (sealed_file.version_of(entry.name) for entry in folder.iterdir())
    return [version for version in found if version is not None]


def _made_at(root: Path, org: str, provider: ProviderName, version: int) -> float | None:
    """When a version was written; None for a version destroyed by another process meanwhile."""
    try:
        return sealed_file.file_of(root, org, provider, version).stat().st_mtime
    except FileNotFoundError:
        return None


def _make_key(root: Path) -> None:
    path = root / sealed_file.KEY_FILE
    if path.exists():
        return
    if any(root.glob("orgs/*/*/*.sealed")):
        # A new key would open none of them: somebody mounted or restored half of the store.
        raise SecretStoreError("the secret store has sealed files but no key file; restore the key file")
    # Another process may be first: then its key is the key.
    _create(path, os.urandom(sealed_file.KEY_BYTES))


def _make_folders(root: Path, folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        inside = path == root or root in path.parents
        path.mkdir(mode=_FOLDER_MODE if inside else 0o777, exist_ok=True)
        _sync_folder(path.parent)


def _create(path: Path, content: bytes) -> bool:
    """Make a file with `content`, whole and durable or not at all; False when the file exists already."""
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
        _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _os_errors_as(sentence: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SecretStoreError(f"{sentence} ({error.strerror})") from None
