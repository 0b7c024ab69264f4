"""Checks a folder that a plane writes: a folder, this user's to write, on a disk with room."""

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
    """Why a folder takes no files: the finding, and what to do beside checking the setting."""

    text: str
    remedy: str


def is_there(path: Path) -> bool:
    """Whether the path exists, as far as this user may know."""
    try:
        return path.exists()
    except OSError:
        return False


def unwritable(folder: Path) -> Unwritable | None:
    """Judge the folder, or the nearest folder above that exists; None for a folder that takes files."""
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
