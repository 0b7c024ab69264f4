"""The cost of the way through the node agent, beside haproxy in TCP mode with `send-proxy-v2`.

Both are alive at once on the proxy's core and pass the same bytes on to the same upstream, in shuffled turns.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from bench import proc
from bench.measure import Figures, WrongAnswerError, measure, warm_up
from bench.processes import StartError
from bench.rows import Figure, Row
from bench.subjects.node_agent import running_haproxy, running_node_agent
from bench.subjects.subject import Running, Subject
from bench.trials.trial import Scene, Trial
from bench.turns import median_of, play_turns, ratio_of
from bench.workload import EVENTS_PER_STREAM, Work, answer_bytes, request_bytes

OPEN_CONNECTIONS: Final = 1_000

_ROUNDS: Final = 9
_LOADS: Final = {
    "request": Row("node-agent", "JSON", Work("json"), 32, (), seconds=4, most=16_000),
    "event": Row(
        "node-agent",
        "SSE 20 ms apart",
        Work("sse", events=EVENTS_PER_STREAM // 2, interval_us=20_000),
        100,
        (),
        seconds=4,
        most=100,
    ),
}


def figures_of(agent: Sequence[Mapping[str, Figures]], haproxy: Sequence[Mapping[str, Figures]]) -> Figures:
    """Compare round with round; raises `WrongAnswerError` when the core was too busy to measure on."""
    result: Figures = {}
    for load in _LOADS:
        ours, theirs = ([turn[load] for turn in turns] for turns in (agent, haproxy))
        key = f"loop_us_per_{load}"
        result[f"agent_us_per_{load}"] = median_of(ours, key)
        result[f"haproxy_us_per_{load}"] = median_of(theirs, key)
        result[f"{load}_over_haproxy"] = ratio_of(ours, theirs, key)
    shares = [figures for turn in (*agent, *haproxy) for figures in turn.values()]
    return {**result, "foreign_share": median_of(shares, "foreign_share")}


def _play(scene: Scene, subject: Subject) -> Figures:
    if shutil.which("haproxy") is None:
        raise StartError("haproxy is not on PATH")
    with ExitStack() as stack:
        agent = stack.enter_context(running_node_agent(scene.around_in("agent"), variables=subject.variables))
        haproxy = stack.enter_context(running_haproxy(scene.around_in("haproxy")))
        both = {"agent": agent, "haproxy": haproxy}
        for running in both.values():
            warm_up(scene.load, running)
        taken = play_turns({name: partial(_turn, scene, one) for name, one in both.items()}, _ROUNDS)
        memory = {f"{name}_kib_per_connection": kib_per_connection(one) for name, one in both.items()}
    return {**figures_of(taken["agent"], taken["haproxy"]), **memory}


def _turn(scene: Scene, running: Running) -> dict[str, Figures]:
    return {
        name: measure(row, scene.load, running, core=scene.cores.proxy, seconds_factor=scene.seconds_factor)
        for name, row in _LOADS.items()
    }


def kib_per_connection(running: Running) -> float:
    """Measure the private memory added by an answered connection."""
    assert running.pid is not None
    request = request_bytes(
        Work("json"), prefix=running.prefix, key=running.key, authority=f"127.0.0.1:{running.port}"
    )
    before = proc.private_bytes(running.pid)
    with ExitStack() as stack:
        for _ in range(OPEN_CONNECTIONS):
            made = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            made.sendall(request)
            if made.recv(len(answer_bytes()), socket.MSG_WAITALL) != answer_bytes():
                raise WrongAnswerError("a connection that is held open got another answer")
        return (proc.private_bytes(running.pid) - before) / OPEN_CONNECTIONS / 1024


NODE_AGENT: Final = Trial(
    "node-agent",
    "bytes through the node agent, beside haproxy with PROXY v2",
    (
        Figure("agent_us_per_request", "agent: CPU µs/request"),
        Figure("haproxy_us_per_request", "haproxy: CPU µs/request"),
        Figure("request_over_haproxy", "CPU/request against haproxy", decimals=2),
        Figure("agent_us_per_event", "agent: CPU µs/chunk 20 ms apart, 100 streams"),
        Figure("haproxy_us_per_event", "haproxy: CPU µs/chunk"),
        Figure("event_over_haproxy", "CPU/chunk against haproxy", decimals=2),
        Figure("agent_kib_per_connection", "agent: KiB/open connection"),
        Figure("haproxy_kib_per_connection", "haproxy: KiB/open connection"),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "nginx", "fastapi_httpx"}),
)
