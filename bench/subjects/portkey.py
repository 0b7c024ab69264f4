"""Portkey's gateway: a Node process without its console, told by headers to call the bench's upstream."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.peers import INSTALLED, LOCKED
from bench.processes import Program, free_port
from bench.subjects.subject import Running, Subject, Surroundings
from bench.workload import ANY_LENGTH_PATH, CHAT_PATH

_PACKAGE: Final = INSTALLED / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
_SERVER: Final = _PACKAGE / "build" / "start-server.js"
_WARM_UP_SECONDS: Final = 8.0
"""Some 5,000 requests: V8 goes on compiling for that long, and no server in use is that young."""
_LOOPBACK: Final = LOCKED / "portkey" / "loopback.mjs"


@contextmanager
def _start(around: Surroundings) -> Iterator[Running]:
    port = free_port()
    command = ["env", "NODE_ENV=production", "node", "--import", str(_LOOPBACK)]
    command += [str(_SERVER), f"--port={port}", "--headless"]
    with Program("Portkey", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield Running(
            port=port,
            pid=program.pid,
            key=around.key(),
            path=CHAT_PATH,
            headers=(
                ("x-portkey-provider", "openai"),
                ("x-portkey-custom-host", f"{around.endpoint}{ANY_LENGTH_PATH}"),
            ),
            rewrites=True,
            warm_up_seconds=_WARM_UP_SECONDS,
        )


def missing(server: Path = _SERVER) -> str | None:
    """Give why Portkey cannot run here, or None."""
    if not server.exists():
        return "not installed: `make bench-peers` gets it"
    return None if shutil.which("node") else "node is not on PATH"


def _version() -> str:
    package: dict[str, str] = json.loads((_PACKAGE / "package.json").read_text())
    return f"Portkey gateway {package['version']}"


PORTKEY: Final = Subject(
    "portkey",
    "Portkey gateway",
    missing,
    _start,
    _version,
    does_tls=False,
    in_quick=False,
    only=frozenset({"json"}),
    least_times_ours=50,
)
