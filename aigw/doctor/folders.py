"""Checks the folders of a plane: each must be open to the plane's user for writing, on a disk with room."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MIN_FREE_BYTES: Final = 16 * 1024 * 1024
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The reason for a folder to take no files: the finding, and the remedy beside checking the setting."""

    text: str
    remedy: str


def is_there(path: Path) -> bool:
    """Tell whether the path exists, as far as the user may know."""
    try:
        return path.exists()
    except OSError:
        return False


def unwritable(folder: Path) -> Unwritable | None:
    """Judge the folder, or the nearest existing folder above; None where files can be written."""
    there = next(path for path in (folder, *folder.parents) if is_there(path))
    # By the effective user, as files are opened.
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return Unwritable(f"{there} is no folder that this user may write", "the mount and owner there")
    space = os.statvfs(there)
    free_bytes = space.f_bavail * space.f_frsize
    if free_bytes < MIN_FREE_BYTES:
        return Unwritable(f"the disk of {there} is full: {free_bytes // _MIB} MiB left", "make room there")
    if space.f_files and not space.f_favail:
        return Unwritable(f"the disk of {there} has no room for another file (inodes)", "make room there")
    return None
