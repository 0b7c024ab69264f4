"""Attachments on disk: one small file per box, written whole and synced before the platform gets its answer.

No token and no key is ever written here. An unreadable file is reported and left alone: its box gets no
listener until the platform attaches the box again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.node_agent.rules.attachment import (
    Attachment,
    AttachmentError,
    is_box_id,
    read_attachment,
    write_attachment,
)

logger = logging.getLogger(__name__)

SCHEMA: Final = 1
MAX_FILE_BYTES: Final = 16 * 1024
GENERATIONS_AT_ONCE: Final = 1_000
"""Number of generations reserved by each write; after a crash the rest of them is skipped."""
_BOXES: Final = "boxes"
_GENERATION: Final = "generation"
_SUFFIX: Final = ".json"


class StoreError(Exception):
    """The folder of attachments cannot be used; says which file and why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An attachment with the facts that tell its listener from every other.

    Attributes:
        generation: grows with every attachment that this node ever makes.
        namespace, boot: the kernel's number of the listener's network namespace, and the start of the
            machine for which it is valid.
    """

    attachment: Attachment
    generation: int
    namespace: int
    boot: str


class Store:
    """The folder of attachments; created with mode 0700 when missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = self._reserved = 0

    def open(self) -> list[Kept]:
        """Read every attachment; raises `StoreError` when the folder itself cannot be used."""
        try:
            (self._folder / _BOXES).mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = [
                found for found in map(_read, sorted((self._folder / _BOXES).glob(f"*{_SUFFIX}"))) if found
            ]
            for leftover in (self._folder / _BOXES).glob(".*.new"):
                leftover.unlink(missing_ok=True)
            self._next = self._reserved = max([self._read_reserved(), *(item.generation for item in kept)])
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be used ({error.strerror})") from None
        return kept

    def new_generation(self) -> int:
        """Give a number never given by this node before; raises `StoreError`."""
        if self._next >= self._reserved:
            self._write(self._folder / _GENERATION, str(self._next + GENERATIONS_AT_ONCE).encode())
            self._reserved = self._next + GENERATIONS_AT_ONCE
        self._next += 1
        return self._next

    def put(self, kept: Kept) -> None:
        """Write an attachment; on return the attachment survives a power failure. Raises `StoreError`."""
        document = {
            "schema": SCHEMA,
            "box": kept.attachment.box,
            **write_attachment(kept.attachment),
            "generation": kept.generation,
            "namespace": kept.namespace,
            "boot": kept.boot,
        }
        self._write(self._file_of(kept.attachment.box), json.dumps(document).encode())

    def remove(self, box: str) -> None:
        """Forget a box; raises `StoreError`."""
        path = self._file_of(box)
        try:
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path} cannot be removed ({error.strerror})") from None

    def _file_of(self, box: str) -> Path:
        assert is_box_id(box)  # so it is a file name, too
        return self._folder / _BOXES / f"{box}{_SUFFIX}"

    def _read_reserved(self) -> int:
        path = self._folder / _GENERATION
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(path.read_text())
        return 0

    def _write(self, path: Path, content: bytes) -> None:
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")  # mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror})") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Kept | None:
    try:
        with path.open("rb") as file:
            document: Any = json.loads(file.read(MAX_FILE_BYTES))
        return _kept_of(path.name.removesuffix(_SUFFIX), document)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        logger.error("%s holds no attachment (%s); attach that box again", path, reason)  # noqa: TRY400  # no traceback
        return None


def _kept_of(box: str, document: Any) -> Kept:
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or document.get("box") != box:
        raise AttachmentError("", "the file is of another form or another box")
    numbers = document.get("generation"), document.get("namespace")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise AttachmentError("/generation", "the file's numbers are no numbers")
    body = {name: document.get(name) for name in ("org", "lifecycle_id", "listen")}
    return Kept(
        read_attachment(box, body), document["generation"], document["namespace"], str(document.get("boot"))
    )
