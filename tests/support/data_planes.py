"""Several data-plane processes of an installation, each on ports of its own, and haproxy in front."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.support.commands import AIGW
from tests.support.gateway import clean_environment
from tests.support.planes_apart import PlanesApart
from tests.support.servers.process import ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import find_program, missing

END_SECONDS: Final = 60.0
_HAPROXY: Final = """\
global
  maxconn 512
defaults
  mode http
  option http-server-close
  option redispatch
  retries 3
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend boxes
  bind 127.0.0.1:{port}
  http-request set-header Host 10.0.2.2:1000
  default_backend fleet
backend fleet
  balance roundrobin
  option httpchk GET /readyz
{servers}
"""
_SERVER: Final = "  server plane{number} 127.0.0.1:{box} check port {admin} inter 100ms fall 1 rise 1"


@dataclass(slots=True)
class DataPlaneProcess:
    """A process of `aigw data-plane`.

    Attributes:
        planes: the installation.
        settings: its `AIGW_*` variables beside the installation's.
        box_port, admin_port: the listeners on 127.0.0.1.
    """

    planes: PlanesApart
    settings: dict[str, str]
    box_port: int
    admin_port: int
    _server: ServerProcess | None = None

    @classmethod
    def of(cls, planes: PlanesApart, **settings: str) -> Self:
        """Lay a process out on free ports; nothing runs yet."""
        return cls(planes, settings, free_port(), free_port())

    @property
    def pid(self) -> int:
        """The process id of the data plane, with workers of their main process."""
        assert self._server is not None
        return self._server.pid

    @property
    def is_ready(self) -> bool:
        """Whether its admin listener says so."""
        try:
            url = f"http://127.0.0.1:{self.admin_port}/readyz"
            with urllib.request.urlopen(url, timeout=2) as answer:  # the test's own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def start(self) -> None:
        """Start the process, and wait until the data plane is ready."""
        ports = {"AIGW_BOX_PORT": str(self.box_port), "AIGW_ADMIN_PORT": str(self.admin_port)}
        environment = clean_environment(**self.planes.environment | ports | self.settings)
        self._server = ServerProcess(short_folder("data-plane"))
        command = [*AIGW, "data-plane"]
        self._server.start(command, lambda: self.is_ready, environment)

    def terminate(self) -> None:
        """Send SIGTERM."""
        assert self._server is not None
        self._server.signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the end; give the exit code."""
        assert self._server is not None
        return self._server.ended(END_SECONDS)

    def close(self) -> None:
        """Stop a running process, and remove its folder."""
        if self._server is not None:
            self._server.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def balanced(fleet: Sequence[DataPlaneProcess]) -> Iterator[int]:
    """Run haproxy in front of a fleet; gives its port. haproxy asks each process for its readiness."""
    program = find_program("haproxy", beside=[Path("/usr/sbin")]) or missing("haproxy")
    process, port = ServerProcess(short_folder("balancer")), free_port()
    servers = [
        _SERVER.format(number=number, box=one.box_port, admin=one.admin_port)
        for number, one in enumerate(fleet)
    ]
    config = process.folder / "config"
    config.write_text(_HAPROXY.format(port=port, servers="\n".join(servers)))
    try:
        process.start([program, "-db", "-f", config], lambda: answers(port))
        yield port
    finally:
        process.close()
