"""The node agent beside haproxy in TCP mode with `send-proxy-v2`: CPU per request and per chunk, memory.

`python -m bench.agent` runs both in turn on one core, load and upstream on another, and prints one line per
subject. The upstream reads the preface and speaks HTTP, so that both subjects do the same work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import uvloop

from aigw.node_key import NodeKey
from bench.agent.load import Load, Upstream
from bench.machine import pinned_to
from bench.proc import cpu_seconds, tree
from bench.processes import Program, free_port

PROXY_CORE: Final = 0
LOAD_CORE: Final = 1
ROUNDS: Final = 3
REQUESTS: Final = 20_000
STREAMS: Final = 100
CHUNKS_PER_STREAM: Final = 150
OPEN_CONNECTIONS: Final = 1_000
HEALTH_SECONDS: Final = "5"

_HAPROXY: Final = """\
global
    nbthread 1
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    option splice-auto
listen bench
    bind 127.0.0.1:{port}
    server upstream 127.0.0.1:{upstream} send-proxy-v2
"""


@contextmanager
def haproxy(folder: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Start haproxy; gives its port and process id."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=upstream))
    command: list[str | Path] = ["haproxy", "-db", "-f", config]
    with Program("haproxy", command, core=PROXY_CORE, log=folder / "haproxy.log") as program:
        program.wait_for_port(port)
        yield port, program.pid


@contextmanager
def node_agent(folder: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Start an agent with one box; gives the box's port and the process id."""
    socket, key, port = folder / "agent.sock", folder / "key.pem", free_port()
    NodeKey.create(key)
    settings = {
        "AIGW_AGENT_SOCKET": socket,
        "AIGW_AGENT_FOLDER": folder / "state",
        "AIGW_AGENT_TARGETS": f"tcp://127.0.0.1:{upstream}",
        "AIGW_AGENT_NODE_KEY_FILE": key,
        "AIGW_AGENT_KID": "bench",
        "AIGW_AGENT_HEALTH_SECONDS": HEALTH_SECONDS,
        "AIGW_AGENT_MAX_CONNECTIONS_PER_BOX": 4096,
    }
    command: list[str | Path] = ["env", *(f"{name}={value}" for name, value in settings.items())]
    command += [sys.executable, "-m", "aigw", "node-agent"]
    with Program("node agent", command, core=PROXY_CORE, log=folder / "agent.log") as program:
        program.wait_for("its REST socket", lambda: "Node agent on" in program.log_text() or None)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://agent") as rest:
            body = {"org": "bench", "lifecycle_id": "1", "listen": {"address": f"127.0.0.1:{port}"}}
            rest.put("/v1/boxes/bench", json=body).raise_for_status()
        yield port, program.pid


SUBJECTS: Final[Mapping[str, Callable[[Path, int], object]]] = {"haproxy": haproxy, "node agent": node_agent}


async def measure(port: int, pid: int, requests: int) -> dict[str, float]:
    """Measure a running subject."""
    load = Load(port)
    await load.requests(requests // 10)
    before = cpu_seconds(tree(pid))
    await load.requests(requests)
    after_requests = cpu_seconds(tree(pid))
    await load.streams(STREAMS, CHUNKS_PER_STREAM)
    after_chunks = cpu_seconds(tree(pid))
    resident = own_bytes(pid)
    async with load.held_open(OPEN_CONNECTIONS):
        grown = own_bytes(pid) - resident
    return {
        "cpu_us_per_request": (after_requests - before) / requests * 1e6,
        "cpu_us_per_chunk": (after_chunks - after_requests) / (STREAMS * CHUNKS_PER_STREAM) * 1e6,
        "kib_per_connection": grown / OPEN_CONNECTIONS / 1024,
    }


def own_bytes(pid: int) -> int:
    """Private resident memory of one process, counted page by page; `stat` is some megabytes behind."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def run(rounds: int, requests: int) -> dict[str, list[dict[str, float]]]:
    """Measure every subject in every round."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
    upstream = Upstream()
    await upstream.start()
    for number in range(rounds):
        for name in sorted(SUBJECTS, reverse=bool(number % 2)):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigw-bench-")))
                start = haproxy if name == "haproxy" else node_agent
                port, pid = stack.enter_context(start(folder, upstream.port))
                results[name].append(await measure(port, pid, requests))
    await upstream.stop()
    return results


def main() -> None:
    """Run the bench and print medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--requests", type=int, default=REQUESTS, help="in each round, after a tenth to warm up"
    )
    arguments = parser.parse_args()
    with pinned_to(LOAD_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(run(arguments.rounds, arguments.requests))
    medians = {
        name: {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}
        for name, rows in results.items()
    }
    for name, figures in medians.items():
        print(f"{name:<11}{json.dumps(figures)}")
    ratios = {key: round(value / medians["haproxy"][key], 2) for key, value in medians["node agent"].items()}
    print(f"{'ratio':<11}{json.dumps(ratios)}")


if __name__ == "__main__":
    main()
