"""The worth of a second worker: a server with a single process and with two workers on one port, in turns.

Load and provider need the cores too, so requests a second of two unlimited workers would mostly show who got
the cores. Here every serving process runs on the proxy's core, limited to the same share of the core; load
and provider have the other core for themselves. Each process has the same number of connections: a process
with fewer connections finds fewer requests on each turn of its event loop, and pays more for each request.
With nothing shared between workers, two serve twice the requests a second of one; nginx in the same run
shows how near to that the machine lets anyone come. The gateway has identity (`proxy-tlv`), usage tap and
limits on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Final

from aigw.node_key import NodeKey, new_key_pem
from bench import proc
from bench.cpu_quota import limited
from bench.measure import Figures, WrongAnswerError, measure, warm_up
from bench.rows import Figure, Row
from bench.subjects import nginx
from bench.subjects.data_plane import running_data_plane
from bench.subjects.subject import Running, Subject
from bench.trials.identity import NODES_KID, preface_of
from bench.trials.trial import Scene, Trial
from bench.turns import play_turns
from bench.workload import Work
from shared.config_feed import NodeRow

_ROUNDS: Final = 7
_CONNECTIONS: Final = 256
"""Of each serving process."""
_LOAD: Final = Row("workers", "JSON", Work("json"), _CONNECTIONS, (), seconds=30, most=25_600)
_SHARE: Final = 0.25
"""Of a core, for each serving process. Load and provider need less than a core for the requests of two."""
_ON: Final = ("AIGW_IDENTITY_MODE=proxy-tlv", "AIGW_USAGE_TAP=true")


def figures_of(one: list[Figures], two: list[Figures]) -> Figures:
    """Compare round with round: run time a request in µs, share of the busiest of two, requests a second."""
    rates = [both["rate"] / single["rate"] for single, both in zip(one, two, strict=True)]
    return {
        "one_us": median(figures["us"] for figures in one),
        "two_us": median(figures["us"] for figures in two),
        "busiest_share": median(figures["busiest_us"] / figures["us"] for figures in two),
        "gain": median(rates),
        "least_gain": min(rates),
        "foreign_share": median(figures["foreign_share"] for figures in (*one, *two)),
    }


def _play(scene: Scene, subject: Subject) -> Figures:
    with ExitStack() as stack:
        turns = {}
        for workers in (1, 2):
            running = stack.enter_context(_served(scene, subject, workers))
            for pid in _serving(running):
                os.sched_setaffinity(pid, {scene.cores.proxy})
            warm_up(scene.load, running)
            turns[str(workers)] = partial(_turn, scene, running)
        taken = play_turns(turns, _ROUNDS)
    return figures_of(taken["1"], taken["2"])


@contextmanager
def _served(scene: Scene, subject: Subject, workers: int) -> Iterator[Running]:
    """Serve by so many processes; the gateway believes a node whose preface comes with each connection."""
    around = scene.around_in(str(workers))
    if subject.name == nginx.NGINX.name:
        with nginx.running_nginx(around, workers) as running:
            yield running
        return
    key = NodeKey.from_pem(new_key_pem().encode(), "the bench's node")
    nodes = (NodeRow("node", NODES_KID, key.public_text),)
    file = around.folder / "preface"

    def renew() -> None:
        file.write_bytes(preface_of(key))

    renew()
    more = (*_ON, f"AIGW_WORKERS={workers}", *subject.variables)
    with running_data_plane(around, *more, nodes=nodes) as running:
        yield replace(running, preface_file=file, renew=renew)


def _turn(scene: Scene, running: Running) -> Figures:
    if running.renew is not None:
        running.renew()
    serving = _serving(running)
    load = replace(_LOAD, connections=_CONNECTIONS * len(serving), most=_LOAD.most * len(serving))
    with limited(serving, _SHARE) as is_limited:
        if not is_limited:
            raise WrongAnswerError("processes cannot be limited to a share of a core here (root, cgroups)")
        before = _run_seconds(serving)
        measured = measure(
            load, scene.load, running, core=scene.cores.proxy, seconds_factor=scene.seconds_factor
        )
        spent = [(after - began) * 1e6 for began, after in zip(before, _run_seconds(serving), strict=True)]
    return {
        "us": sum(spent) / measured["responses"],
        "busiest_us": max(spent) / measured["responses"],
        "rate": measured["requests_per_second"],
        "foreign_share": measured["foreign_share"],
    }


def _serving(running: Running) -> list[int]:
    """Give the serving processes: the workers, or the process without workers."""
    assert running.pid is not None
    found = [stat.pid for stat in proc.tree(running.pid)]
    return found[1:] or found


def _run_seconds(pids: list[int]) -> list[float]:
    return [proc.main_thread_seconds(pid) for pid in pids]


WORKERS: Final = Trial(
    "workers",
    f"two workers, JSON, {_CONNECTIONS} connections and a quarter of a core for each process",
    (
        Figure("one_us", "one process: CPU µs/request"),
        Figure("two_us", "two workers together: CPU µs/request"),
        Figure("busiest_share", "share of the busiest of two", decimals=2),
        Figure("gain", "requests/s of two against one", decimals=2),
        Figure("least_gain", "the same, least of the rounds", decimals=2),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "fastapi_httpx"}),
)
