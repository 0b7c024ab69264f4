"""Limits processes to a share of a core each, by control groups of the kernel (version 1 or 2).

Needs root and the `cpu` controller. Elsewhere nothing is limited, and the caller is told so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

PERIOD_MICROSECONDS: Final = 20_000
"""A process waits for the next period once its share is used up."""
_VERSION_1: Final = Path("/sys/fs/cgroup/cpu")
_VERSION_2: Final = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(pids: Sequence[int], share: float) -> Iterator[bool]:
    """Limit each process to `share` of one core inside; gives False where the kernel allows no limit."""
    with contextlib.ExitStack() as groups:
        try:
            for pid in pids:
                groups.enter_context(_group(pid, share))
            is_limited = True
        except OSError:
            is_limited = False
        yield is_limited


@contextlib.contextmanager
def _group(pid: int, share: float) -> Iterator[None]:
    root = _VERSION_1 if _VERSION_1.is_dir() else _VERSION_2
    group = root / f"aigw-bench-{pid}"
    group.mkdir()
    try:
        for name, text in files_of(share, version=1 if root == _VERSION_1 else 2).items():
            (group / name).write_text(text)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with contextlib.suppress(OSError):  # the process has ended
            (root / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def files_of(share: float, *, version: int) -> dict[str, str]:
    """Give the files of a control group with that share of one core, and their texts."""
    quota = int(PERIOD_MICROSECONDS * share)
    if version == 1:
        return {"cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": str(quota)}
    return {"cpu.max": f"{quota} {PERIOD_MICROSECONDS}"}
