"""The format of the local encrypted secret store: an AES-256-GCM file per secret version.

Layout below the store's folder: `key` (32 random bytes, mode 0600) and
`orgs/<org>/<provider>/<version>.sealed`.
Org, provider and version are the associated data, so a file moved or renamed does not open. Only the format:
the control plane's adapter writes, the data plane's reads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.secret_document import path_of

if TYPE_CHECKING:
    from shared.providers import ProviderName

KEY_FILE: Final = "key"
KEY_BYTES: Final = 32
MAX_SEALED_BYTES: Final = 64 * 1024
_MAGIC = b"AIGW1"
_NONCE_BYTES = 12
_SUFFIX = ".sealed"
_VERSION_FILE = re.compile(r"([1-9][0-9]{0,18})\.sealed")


class SealError(ValueError):
    """The sealed file or key does not open; says nothing of its content."""


def folder_of(root: Path, org: str, provider: ProviderName) -> Path:
    """The folder with the versions of an integration's secret."""
    return root / path_of(org, provider)


def file_of(root: Path, org: str, provider: ProviderName, version: int) -> Path:
    """The file of a version."""
    return folder_of(root, org, provider) / f"{version}{_SUFFIX}"


def version_of(file_name: str) -> int | None:
    """Tell the version held by a file of the folder; None for a file of another kind."""
    match = _VERSION_FILE.fullmatch(file_name)
    return int(match[1]) if match else None


def read_key(root: Path) -> bytes:
    """Read the store's key; raises `SealError` when the key is missing, of a wrong size or open to others."""
    path = root / KEY_FILE
    try:
        mode = path.stat().st_mode & 0o777
        key = path.read_bytes()
    except OSError as error:
        raise SealError(f"the secret store's key file cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise SealError(f"the secret store's key file is open to others (mode {mode:o}); make it 600")
    if len(key) != KEY_BYTES:
        raise SealError("the secret store's key file does not hold a 256-bit key")
    return key


def seal(key: bytes, org: str, provider: ProviderName, version: int, plain: bytes) -> bytes:
    """Encrypt a version under a fresh random nonce."""
    nonce = os.urandom(_NONCE_BYTES)
    return _MAGIC + nonce + AESGCM(key).encrypt(nonce, plain, _associated(org, provider, version))


def unseal(key: bytes, org: str, provider: ProviderName, version: int, sealed: bytes) -> bytes:
    """Decrypt a version; raises `SealError` when the file was altered, moved, or sealed by another key."""
    head = len(_MAGIC)
    if not sealed.startswith(_MAGIC) or len(sealed) > MAX_SEALED_BYTES:
        raise SealError("the sealed file has an unknown format")
    nonce, box = sealed[head : head + _NONCE_BYTES], sealed[head + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, box, _associated(org, provider, version))
    except (InvalidTag, ValueError):
        raise SealError("the sealed file does not open with this store's key") from None


def _associated(org: str, provider: ProviderName, version: int) -> bytes:
    return b"\0".join((org.encode(), provider.encode(), str(version).encode()))
