"""The data folder of an embedded gateway: where each file lies, and the random values made once.

Every file in the folder is the owner's alone (folder 0700, secrets 0600). A single process may hold the
folder at a time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aigw.failures import UserError
from shared.secret import Secret


@dataclass(frozen=True, slots=True)
class DataDir:
    """An opened data folder; `close()` releases the folder for another process."""

    root: Path
    _lock: int

    @classmethod
    def open(cls, root: Path) -> Self:
        """Make the folder if needed and take its lock; raises `UserError` with the remedy."""
        root = root.absolute()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UserError(
                f"The data folder {root} cannot be used ({error.strerror}). Choose another with --data-dir."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UserError(
                f"Another aigw up uses the data folder {root}. Stop it, or choose another with --data-dir."
            ) from None
        return cls(root, lock)

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._lock)

    @property
    def database_url(self) -> str:
        """The embedded database."""
        return f"sqlite:///{self.root / 'gateway.db'}"

    @property
    def secret_store_url(self) -> str:
        """The local encrypted secret store."""
        return f"local://{self.root / 'secrets'}"

    def secret(self, name: str, prefix: str = "") -> Secret:
        """Give the random secret kept under `name`, made with `prefix` on the first start."""
        return Secret(self.kept(name, lambda: prefix + secrets.token_urlsafe(32)).decode())

    def kept(self, name: str, make: Callable[[], str]) -> bytes:
        """Give the content of the private file `name`, which `make` writes the first time."""
        path = self.root / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            write_private(path, make().encode())
            return path.read_bytes()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, even when the machine stops."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
