"""docker-compose.yml run by podman-compose, with stand-ins for the images of Postgres, Valkey and Vault.

The file is used unchanged, but for the ports on this machine. podman 4 does not wait for the conditions of
`depends_on`, so services are started in sequence here, each after its dependencies.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tests.support.kubernetes.images import PODMAN
from tests.support.servers.process import free_port
from tests.support.servers.tools import REPOSITORY

PROJECT: Final = "aigw-compose-test"
LIMITS: Final = "--ulimit nofile=10000:10000 --ulimit nproc=10000:10000"
"""Limits within the powers of a root without CAP_SYS_RESOURCE."""
NO_EXTRA_FOLDERS: Final = "--read-only-tmpfs=false"
"""Podman alone would give a container with a read-only root /run and /var/tmp to write to."""
HEALTHY_SECONDS: Final = 120.0
COMMAND_SECONDS: Final = 180.0


class Compose:
    """A run of the project.

    Attributes:
        services: of the file, without those of a profile.
        ports: on this machine, by the port in the file.
    """

    def __init__(self, folder: Path) -> None:
        document: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
        services = {name: one for name, one in document["services"].items() if "profiles" not in one}
        self.services: dict[str, dict[str, Any]] = services
        self.ports: dict[str, int] = {}
        for service in services.values():
            service.pop("build", None)
            service["ports"] = [self._moved(port) for port in service.get("ports", ())]
            service["volumes"] = [_absolute(volume) for volume in service.get("volumes", ())]
        self._file = folder / "docker-compose.yml"
        self._file.write_text(yaml.safe_dump(document | {"name": PROJECT, "services": services}))

    def __enter__(self) -> Self:
        self.remove()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def in_order(self) -> Iterator[str]:
        """Give the services, each behind its dependencies."""
        waits = {name: set(one.get("depends_on", ())) for name, one in self.services.items()}
        yield from TopologicalSorter(waits).static_order()

    def start(self, name: str) -> None:
        """Start a service; the service is healthy, or has ended well, afterwards."""
        self._compose("up", "--detach", "--no-build", "--no-deps", name)
        self.is_good(name)

    def restart(self, name: str) -> None:
        """Restart a service; the service is healthy afterwards."""
        self.podman("restart", "--time", "20", container(name))
        self.is_good(name)

    def is_good(self, name: str) -> None:
        """Wait until a service is healthy by its own check, or has ended well."""
        if self.services[name]["restart"] == "no":
            code = self.podman("wait", container(name)).strip()
            assert code == "0", f"{name}: {self.log(name)}"
        elif name != "vault":  # that one is healthy once `vault-setup` has unsealed it
            self.is_healthy(name)

    def is_healthy(self, name: str) -> None:
        """Wait until a service's own check succeeds."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while _run(*PODMAN, "healthcheck", "run", container(name)).returncode != 0:
            assert time.monotonic() < deadline, f"{name} is not healthy: {self.log(name)}"
            time.sleep(0.5)

    def inside(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a service's container."""
        return _run(*PODMAN, "exec", container(name), *words)

    def inspect(self, name: str) -> dict[str, Any]:
        """Give podman's record of a service's container."""
        found: dict[str, Any] = json.loads(self.podman("inspect", container(name)))[0]
        return found

    def log(self, name: str) -> str:
        """Give the end of a service's output."""
        done = _run(*PODMAN, "logs", "--tail", "20", container(name))
        return done.stdout + done.stderr

    def podman(self, *words: str) -> str:
        """Run podman; give its output."""
        done = _run(*PODMAN, *words)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr}"
        return done.stdout

    def remove(self) -> None:
        """Take containers, networks and volumes away."""
        self._compose("down", "--volumes", "--timeout", "5")

    def left(self) -> list[str]:
        """Name whatever is left of the project."""
        lists = (
            ("ps", "--all", "--format={{.Names}}"),
            ("volume", "ls", "--format={{.Name}}"),
            ("network", "ls", "--format={{.Name}}"),
        )
        names = [name for words in lists for name in self.podman(*words).splitlines()]
        return [name for name in names if name.startswith(PROJECT)]

    def _moved(self, port: str) -> str:
        address, wanted, inside = port.split(":")
        self.ports[wanted] = free_port()
        return f"{address}:{self.ports[wanted]}:{inside}"

    def _compose(self, *words: str) -> None:
        command = [sys.executable, "-m", "podman_compose", "--file", str(self._file), "--in-pod", "false"]
        options = [f"--podman-args={' '.join(PODMAN[1:])}", f"--podman-run-args={LIMITS} {NO_EXTRA_FOLDERS}"]
        done = _run(*command, *options, *words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"


def container(name: str) -> str:
    """Give the name of a service's container."""
    return f"{PROJECT}_{name}_1"


def _absolute(volume: str) -> str:
    return f"{REPOSITORY}{volume[1:]}" if volume.startswith("./") else volume


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
