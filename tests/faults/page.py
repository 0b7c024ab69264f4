"""Writes `docs/reliability.md` from the rows of a full run, made at once or in pieces."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.faults.row import Row, as_line, percentile

P50_BAR_SECONDS: Final = 0.25
P99_BAR_SECONDS: Final = 2.0
REDIS_DOWN_BAR_SECONDS: Final = 15.0
_HEAD: Final = """# What fails, and what then happens

Written by `make faults`; do not edit. The short form of the same tests is part of `make test`.

Two control planes and three data planes run as processes on real PostgreSQL, Valkey and Vault (raft, TLS,
audited), while 20 orgs send a steady load of JSON requests and event streams to a scripted provider. Each
request must end well with its org's own key. A change counts as enforced when a box's request shows it; time
runs from the time stamp that the change's row got in its transaction. "Twice" counts every process, stream or
audit that went back or repeated a revision. A test fails when a request of a loaded org fails, or a change is
lost or applied twice, or an integration is wrongly called missing, or a change is called live on every
process while one does not enforce it; times are only measured. A change that a failover or a restored backup
lost is no lost change: the gateway must forget it everywhere.

"""
_COLUMNS: Final = (
    "fault",
    "what was done",
    "requests",
    "failed",
    "changes",
    "lost",
    "twice",
    "wrong missing",
    "false live",
    "enforced p50 / p99 / max",
    "note",
)


def merged(earlier: Iterable[Row], later: Iterable[Row]) -> list[Row]:
    """Give the rows of several runs: each fault as seen last, in the order of the first sight."""
    rows = {(row.fault, row.done): row for row in earlier}
    rows.update({(row.fault, row.done): row for row in later})
    return list(rows.values())


def read_rows(file: Path) -> list[Row]:
    """Read the rows of earlier pieces; none without a file."""
    return [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Keep the rows for a later piece."""
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def page(rows: Sequence[Row], form: str) -> str:
    """Write the page."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}", *map(as_line, rows)]
    return f"{_HEAD}{_bars(rows)}\n\n{chr(10).join(lines)}\n\n{_machine(form, rows)}\n"


def _bars(rows: Sequence[Row]) -> str:
    total = {
        name: sum(getattr(row, name) for row in rows)
        for name in ("requests", "failed", "changes", "lost", "twice", "missing", "false_live", "live_checks")
    }
    toggles = next((row.seconds for row in rows if row.fault.startswith("none")), [])
    down = [second for row in rows if row.fault.startswith("Redis") for second in row.seconds]
    lines = ["| bar | wanted | measured | |", "|---|---|---|---|"]
    if toggles:
        lines.append(_bar("commit to enforced, p50", P50_BAR_SECONDS, percentile(toggles, 0.5)))
        lines.append(_bar("commit to enforced, p99", P99_BAR_SECONDS, percentile(toggles, 0.99)))
    if down:
        lines.append(_bar("Redis down, worst", REDIS_DOWN_BAR_SECONDS, max(down)))
    lines += [
        _count(f"failed requests of loaded orgs, of {total['requests']}", total["failed"]),
        _count(f"changes lost, of {total['changes']}", total["lost"]),
        _count("changes applied twice", total["twice"]),
        _count('wrong "missing"', total["missing"]),
        _count(f'false "live", of {total["live_checks"]}', total["false_live"]),
    ]
    return "\n".join(lines)


def _bar(name: str, wanted: float, measured: float) -> str:
    return f"| {name} | ≤ {wanted:g} s | {measured:.3f} s | {'met' if measured <= wanted else '**missed**'} |"


def _count(name: str, measured: int) -> str:
    return f"| {name} | 0 | {measured} | {'**missed**' if measured else 'met'} |"


def _machine(form: str, rows: Sequence[Row]) -> str:
    return (
        f"Measured in the {form} form on a shared machine with {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}; servers, fleet and load on it. "
        f"{_busy(rows)}"
    )


def _busy(rows: Sequence[Row]) -> str:
    """Say how busy the machine was: the load average at the end of each row counts other programs as well."""
    loads = [row.machine_load for row in rows if row.machine_load]
    if not loads:
        return ""
    return (
        f"The machine's load average at the end of a row was {min(loads):.1f} to {max(loads):.1f}, "
        f"median {percentile(loads, 0.5):.1f}. Other programs count in it: above the number of cores, a time "
        "is partly a wait for a core."
    )


def write(path: Path, rows: Sequence[Row], form: str) -> None:
    """Write the page to `path`."""
    path.write_text(page(rows, form))
