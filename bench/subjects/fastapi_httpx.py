"""The usual way to write such a gateway: FastAPI, StreamingResponse, httpx; one uvicorn worker on uvloop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from bench.processes import Program, free_port
from bench.subjects.subject import Running, Subject, Surroundings


@contextmanager
def _start(around: Surroundings) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "bench.peers.fastapi_httpx", "--port", str(port)]
    command += ["--endpoint", around.endpoint, "--key-file", str(around.key_file)]
    if around.ca_file is not None:
        command += ["--ca-file", str(around.ca_file)]
    with Program("FastAPI + httpx", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield Running(port=port, pid=program.pid)


def _version() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("fastapi", "httpx", "uvicorn", "uvloop"))


FASTAPI_HTTPX: Final = Subject(
    "fastapi_httpx", "FastAPI + httpx", lambda: None, _start, _version, least_times_ours=100
)
