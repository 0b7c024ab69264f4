"""A node agent with one box, and haproxy doing the same work: TCP to TCP, with a PROXY v2 header in front.

Both are compared with each other by the trial `node-agent`; neither is a column of the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx

from aigw.node_key import NodeKey
from bench.processes import Program, free_port
from bench.subjects.data_plane import AIGW
from bench.subjects.subject import Running, Surroundings
from bench.workload import UPSTREAM_PREFIX

MAX_CONNECTIONS: Final = 4_096
HEALTH_SECONDS: Final = 5

_HAPROXY: Final = """\
global
    nbthread 1
    maxconn {connections}
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
def running_haproxy(around: Surroundings) -> Iterator[Running]:
    """Serve by haproxy with `send-proxy-v2`."""
    port = free_port()
    config = around.folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=around.upstream_port, connections=MAX_CONNECTIONS))
    command = ["haproxy", "-db", "-f", str(config)]
    with Program("haproxy", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield _running(around, port, program)


@contextmanager
def running_node_agent(around: Surroundings, *, variables: Sequence[str] = ()) -> Iterator[Running]:
    """Serve by an agent, with more environment lines; its only box is attached by its REST."""
    rest_socket, key, port = around.folder / "agent.sock", around.folder / "key.pem", free_port()
    NodeKey.create(key)
    settings = {
        "AIGW_AGENT_SOCKET": rest_socket,
        "AIGW_AGENT_FOLDER": around.folder / "state",
        "AIGW_AGENT_TARGETS": f"tcp://127.0.0.1:{around.upstream_port}",
        "AIGW_AGENT_NODE_KEY_FILE": key,
        "AIGW_AGENT_KID": "bench",
        "AIGW_AGENT_HEALTH_SECONDS": HEALTH_SECONDS,
        "AIGW_AGENT_MAX_CONNECTIONS_PER_BOX": MAX_CONNECTIONS,
    }
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), *variables]
    command += [str(AIGW), "node-agent"]
    with Program("node agent", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for("its REST socket", lambda: "Node agent on" in program.log_text() or None)
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(rest_socket)), base_url="http://agent"
        ) as rest:
            body = {"org": "bench", "lifecycle_id": "1", "listen": {"address": f"127.0.0.1:{port}"}}
            rest.put("/v1/boxes/bench", json=body).raise_for_status()
        yield _running(around, port, program)


def _running(around: Surroundings, port: int, program: Program) -> Running:
    return Running(port=port, pid=program.pid, prefix=UPSTREAM_PREFIX, key=around.key())
