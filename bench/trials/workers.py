"""The worth of a second worker: data planes of a single process and of two workers on one port, in turns.

Load and provider need the cores too, so requests a second would mostly show their share. Counted instead is
the run time of the serving processes: with a core each, two workers can serve as many requests a second as
the busiest of them has run time for. The gain is the run time per request of the one process against that of
the busiest worker, both divided by all requests: 2 with an even share and nothing on top. More than 2 says
that other programs disturbed the run. Then each serving process is limited to the same share of a core,
which leaves load and provider enough, and requests a second are compared. Identity (`proxy-tlv`), usage tap
and limits are on.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Final

from aigw.node_key import NodeKey, new_key_pem
from bench import proc
from bench.cpu_quota import limited
from bench.machine import Cores
from bench.measure import Figures, WrongAnswerError, measure, warm_up
from bench.rows import Figure, Row
from bench.subjects.data_plane import running_data_plane
from bench.subjects.subject import Running, Subject
from bench.trials.identity import NODES_KID, preface_of
from bench.trials.trial import Scene, Trial
from bench.turns import median_of, play_turns
from bench.workload import Work
from shared.config_feed import NodeRow

_ROUNDS: Final = 7
_CONNECTIONS: Final = 256
_LOAD: Final = Row("workers", "JSON", Work("json"), _CONNECTIONS, (), seconds=30, most=25_600)
_LIMITED_SHARE: Final = 0.25
"""Of a core, for each serving process. Load and provider need about as much for one worker's requests."""
_ON: Final = ("AIGW_IDENTITY_MODE=proxy-tlv", "AIGW_USAGE_TAP=true")


def figures_of(one: list[Figures], two: list[Figures]) -> Figures:
    """Compare round with round; raises `WrongAnswerError` when the cores were too busy to measure on."""
    if not all(figures["busiest_us"] for figures in two):
        raise WrongAnswerError("no CPU time was counted: the cores are too busy to measure on")
    figures = {
        "one_us": median_of(one, "us"),
        "two_us": median_of(two, "us"),
        "busiest_share": median(figures["busiest_us"] / figures["us"] for figures in two),
        "gain": median(single["us"] / both["busiest_us"] for single, both in zip(one, two, strict=True)),
        "foreign_share": median_of([*one, *two], "foreign_share"),
    }
    if all("limited_rate" in taken for taken in (*one, *two)):
        rates = [both["limited_rate"] / single["limited_rate"] for single, both in zip(one, two, strict=True)]
        figures["limited_gain"] = median(rates)
    return figures


def _play(scene: Scene, subject: Subject) -> Figures:
    key = NodeKey.from_pem(new_key_pem().encode(), "the bench's node")
    nodes = (NodeRow("node", NODES_KID, key.public_text),)
    file = scene.folder / "preface"
    planes: dict[str, Running] = {}
    with ExitStack() as stack:
        file.write_bytes(preface_of(key))
        for name, more in (("one", ()), ("two", ("AIGW_WORKERS=2",))):
            plane = running_data_plane(scene.around_in(name), *_ON, *more, *subject.variables, nodes=nodes)
            planes[name] = replace(stack.enter_context(plane), preface_file=file)
            _spread(planes[name], scene.cores)
            warm_up(scene.load, planes[name])

        def turn(running: Running) -> Figures:
            file.write_bytes(preface_of(key))
            return _turn(scene, running)

        taken = play_turns({name: partial(turn, running) for name, running in planes.items()}, _ROUNDS)
    return figures_of(taken["one"], taken["two"])


def _turn(scene: Scene, running: Running) -> Figures:
    before = _run_seconds(running)
    measured = measure(
        _LOAD, scene.load, running, core=scene.cores.proxy, seconds_factor=scene.seconds_factor
    )
    after = _run_seconds(running)
    spent = [(after[pid] - before[pid]) * 1e6 / measured["responses"] for pid in before]
    figures = {"us": sum(spent), "busiest_us": max(spent), "foreign_share": measured["foreign_share"]}
    with limited(_serving(running), _LIMITED_SHARE) as is_limited:
        if is_limited:
            again = measure(
                _LOAD, scene.load, running, core=scene.cores.proxy, seconds_factor=scene.seconds_factor
            )
            figures["limited_rate"] = again["requests_per_second"]
    return figures


def _serving(running: Running) -> list[int]:
    """Give the serving processes: the workers, or the process without workers."""
    assert running.pid is not None
    found = [stat.pid for stat in proc.tree(running.pid)]
    return found[1:] or found


def _run_seconds(running: Running) -> dict[int, float]:
    return {pid: proc.main_thread_seconds(pid) for pid in _serving(running)}


def _spread(running: Running, cores: Cores) -> None:
    """Give each worker a core: the second shares the core of load and provider."""
    for pid, core in zip(_serving(running), (cores.proxy, cores.load), strict=False):
        os.sched_setaffinity(pid, {core})


WORKERS: Final = Trial(
    "workers",
    f"two workers, JSON over {_CONNECTIONS} connections, by run time",
    (
        Figure("one_us", "one process: CPU µs/request"),
        Figure("two_us", "two workers together: CPU µs/request"),
        Figure("busiest_share", "share of the busiest of two", decimals=2),
        Figure("gain", "requests/s that the busiest allows, against one process", decimals=2),
        Figure(
            "limited_gain",
            "requests/s of two against one, each process limited to a quarter core",
            decimals=2,
        ),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "nginx", "fastapi_httpx"}),
)
