"""A measurement: run the load once against a subject and turn the counts into figures."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import proc
from bench.rows import Row
from bench.subjects.subject import Running
from bench.workload import Work, request_bytes

_NO_LIMIT: Final = 10**12
_SLACK_SECONDS: Final = 20
_SLOWEST_PACE: Final = 3
_MEMORY_POLL_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 0.3

Figures = dict[str, float]


class WrongAnswerError(Exception):
    """The load met a wrong, cut or missing answer; the message says which."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load program and its constant needs.

    Attributes:
        program: the built binary.
        options: the options naming the expected bytes.
        folder: where requests are written.
    """

    program: Path
    options: Sequence[str]
    folder: Path

    def command(
        self, work: Work, running: Running, *, connections: int, seconds: float, most: int
    ) -> list[str]:
        """Give the command line of a run; the program ends by itself within its deadline."""
        request = self.folder / "request"
        authority = f"127.0.0.1:{running.port}"
        request.write_bytes(
            request_bytes(
                work,
                prefix=running.prefix,
                key=running.key,
                authority=authority,
                path=running.path,
                headers=running.headers,
            )
        )
        paced_seconds = work.events * work.interval_us / 1e6
        deadline = int(seconds + paced_seconds * _SLOWEST_PACE + _SLACK_SECONDS)
        return [
            *(str(self.program), *self.options, "--request", str(request), "--port", str(running.port)),
            *("--connections", str(connections), "--seconds", str(seconds), "--most", str(most or _NO_LIMIT)),
            *("--events", str(work.events), "--deadline", str(deadline)),
            *("--rewritten", str(int(running.rewrites))),
            *(("--preface", str(running.preface_file)) if running.preface_file is not None else ()),
        ]


def warm_up(load: Load, running: Running) -> None:
    """Let the subject import, compile, connect and allocate for its first requests."""
    command = load.command(Work("json"), running, connections=8, seconds=running.warm_up_seconds, most=0)
    _run(command, None)
    time.sleep(_SETTLE_SECONDS)


def measure(row: Row, load: Load, running: Running, *, core: int, seconds_factor: float = 1.0) -> Figures:
    """Do `row` once with a subject on `core`; gives figures by the keys of `rows.Figure`.

    `foreign_share` is the part of the core taken by others than the subject: 0.1 and more spoils a figure.

    Raises:
        WrongAnswerError: an answer differed from the expected answer in some byte.
    """
    command = load.command(
        row.work,
        running,
        connections=row.connections,
        seconds=row.seconds * seconds_factor,
        most=row.most,
    )
    busy_before, began = proc.core_busy_seconds(core), time.monotonic()
    before = proc.tree(running.pid) if running.pid is not None else []
    loop_before = proc.main_thread_seconds(running.pid) if running.pid is not None else 0.0
    peak_bytes, counted = _run(command, running.pid if row.fresh else None)
    after = proc.tree(running.pid) if running.pid is not None else []
    busy, lasted = proc.core_busy_seconds(core) - busy_before, time.monotonic() - began
    figures = derive(counted)
    if running.pid is not None:
        figures |= cpu_figures(counted, proc.cpu_seconds(after) - proc.cpu_seconds(before))
        figures |= loop_figures(counted, proc.main_thread_seconds(running.pid) - loop_before)
        figures["foreign_share"] = max(0.0, busy - figures["cpu_seconds"]) / lasted
        figures["resident_mib"] = proc.resident_bytes(after) / 2**20
    if running.pid is not None and row.fresh:
        figures["kib_per_stream"] = (peak_bytes - proc.resident_bytes(before)) / 1024 / row.connections
    return figures


def derive(counted: Figures) -> Figures:
    """Add rates to the load's counts."""
    seconds = counted["seconds"]
    rates = {
        "requests_per_second": counted["responses"] / seconds,
        "events_per_second": counted["events"] / seconds,
    }
    return {**counted, **rates}


def cpu_figures(counted: Figures, cpu_seconds: float) -> Figures:
    """Share the CPU time of the subject's process tree out over requests and events, in microseconds."""
    figures = {"cpu_seconds": cpu_seconds, "cpu_us_per_request": cpu_seconds * 1e6 / counted["responses"]}
    figures["core_share"] = cpu_seconds / counted["seconds"]
    if counted["events"]:
        figures["cpu_us_per_event"] = cpu_seconds * 1e6 / counted["events"]
    return figures


def loop_figures(counted: Figures, seconds: float) -> Figures:
    """Share the run time of the main thread out: finer than ticks, for a subject of a single event loop."""
    figures = {"loop_us_per_request": seconds * 1e6 / counted["responses"]}
    if counted["events"]:
        figures["loop_us_per_event"] = seconds * 1e6 / counted["events"]
    return figures


def _run(command: list[str], watched: int | None) -> tuple[int, Figures]:
    """Run the load; gives the peak of the watched tree's resident bytes meanwhile, and the counts."""
    peak_bytes = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            while watched is not None and running.poll() is None:
                peak_bytes = max(peak_bytes, proc.resident_bytes(proc.tree(watched)))
                time.sleep(_MEMORY_POLL_SECONDS)
            output, complaint = running.communicate()
        except BaseException:
            running.kill()
            raise
    if running.returncode != 0:
        raise WrongAnswerError(
            complaint.strip() or f"the load ended with status {running.returncode} (its deadline is 14)"
        )
    counted: Figures = json.loads(output)
    return peak_bytes, counted
