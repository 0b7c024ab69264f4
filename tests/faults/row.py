"""A line of the table of faults, and the page with the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Row:
    """The effects of a fault.

    Attributes:
        fault, done: its name, and the steps taken.
        requests, failed: of the load, while the fault was on and until all had healed.
        changes: how many were acknowledged, or made behind a writer's death.
        lost: of these, how many were not enforced by every process at the end.
        twice: how often a process, the stream or the audit went back or repeated a revision.
        missing: how many callers were told "missing" of a present integration.
        false_live: how often a change was called live on every process before every process enforced it.
        live_checks: how many times this was checked.
        seconds: from commit to enforced, of each change on each process.
        machine_load: how many programs of the machine wanted to run at the end, over a minute; 0: not looked.
        note: facts beyond the numbers.
    """

    fault: str
    done: str
    requests: int = 0
    failed: int = 0
    changes: int = 0
    lost: int = 0
    twice: int = 0
    missing: int = 0
    false_live: int = 0
    live_checks: int = 0
    seconds: list[float] = field(default_factory=list)
    machine_load: float = 0.0
    note: str = ""


def percentile(values: Sequence[float], part: float) -> float:
    """Give the nearest-rank percentile; `part` in (0, 1]."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def as_line(row: Row) -> str:
    """Write a row as a line of a Markdown table."""
    times = (
        " / ".join(_short(percentile(row.seconds, part)) for part in (0.5, 0.99, 1)) if row.seconds else ""
    )
    cells = (
        row.fault,
        row.done,
        row.requests or "",
        row.failed,
        row.changes or "",
        row.lost,
        row.twice,
        row.missing,
        f"{row.false_live} of {row.live_checks}" if row.live_checks else "",
        times,
        row.note,
    )
    return f"| {' | '.join(map(str, cells))} |"


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
