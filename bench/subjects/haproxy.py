"""A TCP splice by haproxy: the floor, as it reads no HTTP and sets no credential."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.processes import Program, free_port
from bench.subjects.subject import Running, Subject, Surroundings
from bench.workload import UPSTREAM_PREFIX

_CONFIG: Final = """\
global
    nbthread 1
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option splice-auto
listen bench
    bind 127.0.0.1:{port}
    server upstream 127.0.0.1:{upstream_port}
"""


@contextmanager
def _start(around: Surroundings) -> Iterator[Running]:
    port = free_port()
    config = around.folder / "haproxy.cfg"
    config.write_text(_CONFIG.format(port=port, upstream_port=around.upstream_port))
    command = ["haproxy", "-db", "-f", str(config)]
    with Program("haproxy", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield Running(port=port, pid=program.pid, prefix=UPSTREAM_PREFIX, key=around.key())


def _missing() -> str | None:
    return None if shutil.which("haproxy") else "haproxy is not on PATH"


def _version() -> str:
    lines = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout.split()
    return f"haproxy {lines[2]}"


SPLICE: Final = Subject(
    "splice", "TCP splice (haproxy)", _missing, _start, _version, does_tls=False, in_quick=False
)
