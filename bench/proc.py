"""Facts of /proc about a process and its descendants: CPU used and memory held."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/<pid>/stat for the bench; see proc(5)."""

    pid: int
    parent: int
    cpu_ticks: int
    resident_pages: int


def parse_stat(line: str) -> Stat:
    """Read a stat line. The name in parentheses may itself hold spaces and parentheses."""
    name_end = line.rindex(")")
    pid = int(line[: line.index(" ")])
    fields = line[name_end + 2 :].split()  # from field 3, the state
    return Stat(
        pid=pid,
        parent=int(fields[1]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        resident_pages=int(fields[21]),
    )


def tree(root: int) -> list[Stat]:
    """Give `root` and all its living descendants."""
    everyone = _everyone()
    return descendants(root, everyone)


def descendants(root: int, everyone: list[Stat]) -> list[Stat]:
    """Pick `root` and its descendants."""
    children: dict[int, list[Stat]] = {}
    found = []
    for stat in everyone:
        children.setdefault(stat.parent, []).append(stat)
        if stat.pid == root:
            found.append(stat)
    for stat in found:  # grows while it is walked
        found.extend(children.get(stat.pid, []))
    return found


def cpu_seconds(stats: list[Stat]) -> float:
    """User and system time of these processes since their start, all threads, in seconds."""
    return sum(stat.cpu_ticks for stat in stats) / os.sysconf("SC_CLK_TCK")


def main_thread_seconds(pid: int) -> float:
    """Run time of the main thread, as of an event loop, in nanoseconds where `cpu_seconds` has ticks."""
    return int((_PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9


def resident_bytes(stats: list[Stat]) -> int:
    """Resident memory of these processes. Shared pages count once for each."""
    return sum(stat.resident_pages for stat in stats) * os.sysconf("SC_PAGE_SIZE")


def private_bytes(pid: int) -> int:
    """Private resident memory of a process, counted page by page; `stat` is some megabytes behind."""
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def anonymous_bytes(pid: int) -> int:
    """Resident memory of a process that no file backs (`RssAnon` of proc(5))."""
    lines = (_PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


def core_busy_seconds(core: int) -> float:
    """CPU time of a core for anything at all since boot, in seconds."""
    return parse_core_ticks((_PROC / "stat").read_text(), core) / os.sysconf("SC_CLK_TCK")


def parse_core_ticks(text: str, core: int) -> int:
    """Find a core's busy ticks in the text of /proc/stat: all but idle and waiting for a disk."""
    for line in text.splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return user + nice + system + irq + softirq + steal
    raise LookupError(f"/proc/stat has no cpu{core}")


def _everyone() -> list[Stat]:
    stats = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stats.append(parse_stat((entry / "stat").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return stats
