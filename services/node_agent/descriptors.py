"""The process's own limits: all descriptors that the system allows, and no core dumps with a key in them."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from typing import Final

MOST_DESCRIPTORS: Final = 1_048_576
"""Where the system sets no limit."""

_PR_SET_DUMPABLE: Final = 4


def raise_limit() -> int:
    """Raise the soft limit of descriptors to the hard one, and give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def forbid_core_dumps() -> None:
    """Have no dump of this process's memory written; it holds the node's key."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
