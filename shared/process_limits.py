"""The kernel's services for this process: descriptors up to the limit, no core dump, an end with its parent.

A core dump of a gateway process holds every key in the process's memory. `RLIMIT_CORE` alone does not prevent
a dump: where `core_pattern` names a program, Linux pipes the dump to the program whatever the limit is
(core(5)). A process marked not dumpable has no core dump at all (prctl(2), PR_SET_DUMPABLE).
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
from typing import Final

logger = logging.getLogger(__name__)

MAX_DESCRIPTORS: Final = 1_048_576
"""As many are ever asked for: some container engines set a hard limit of a billion."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4


def raise_descriptor_limit() -> int:
    """Raise the soft limit on open descriptors to the hard limit; gives the limit now in force.

    Many service managers start processes with a soft limit of 1,024, which `select` needs and no part of the
    gateway uses.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        logger.warning("the limit on open descriptors stays at %d: %s", soft, error)
        return soft
    return wanted


def descriptor_limit() -> int:
    """Give the number of descriptors that this process may have open now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)


def forbid_core_dumps() -> None:
    """Have no crash of this process write its memory to a file or to a crash reporter."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        logger.warning("core dumps are limited to 0 bytes, but the process stays dumpable")


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process, as by SIGTERM, after the end of its starter `parent`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # gone before that call
        os.kill(os.getpid(), signal.SIGTERM)
