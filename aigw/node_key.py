"""A node's signing key as a PEM file, and its box tokens: for header mode, tests and curl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aigw.embedded.data_dir import write_private
from aigw.failures import UserError
from shared.box_token import mint, public_key_text

if TYPE_CHECKING:
    from pathlib import Path

MAX_KEY_FILE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class NodeKey:
    """An Ed25519 key. `public_text` is the key's form in `PUT /api/v1/nodes/{node}`."""

    _key: Ed25519PrivateKey

    @classmethod
    def create(cls, path: Path) -> NodeKey:
        """Make a key and write `path`, mode 0600; raises `UserError`, also when the file exists."""
        if path.exists():
            raise UserError(f"{path} exists already. Choose another name, or remove it first.")
        try:
            write_private(path, new_key_pem().encode())
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}).") from None
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> NodeKey:
        """Read a key; raises `UserError`."""
        try:
            data = path.read_bytes()[:MAX_KEY_FILE_BYTES]
        except OSError as error:
            raise UserError(f"The node key {path} cannot be read ({error.strerror}).") from None
        return cls.from_pem(data, str(path))

    @classmethod
    def from_pem(cls, pem: bytes, name: str) -> NodeKey:
        """Read a key from the PEM text of the source `name`; raises `UserError`."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UserError(f"{name} is no Ed25519 private key in PEM. Make one with aigw node-key new FILE.")
        return cls(key)

    @property
    def public_text(self) -> str:
        """The public key, base64url without padding."""
        return public_key_text(self._key.public_key())

    def mint(self, kid: str, *, box: str, org: str, lifecycle: str, now: float, life_seconds: int) -> str:
        """Sign a box token; raises `UserError` for a life unacceptable to every verifier."""
        try:
            return mint(
                self._key, kid, box=box, org=org, lifecycle=lifecycle, now=now, life_seconds=life_seconds
            )
        except ValueError as error:
            raise UserError(f"{error}".capitalize() + ". Change --life-seconds.") from None


def new_key_pem() -> str:
    """Make a fresh key as PEM text."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()
