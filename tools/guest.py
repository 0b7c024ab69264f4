"""Guests without a kernel of their own: real QEMU user networking between two network namespaces.

QEMU runs in the outer namespace, where the node agent listens on 127.0.0.1:1000. Its tap device is moved into
the inner namespace, which is the guest: there 10.0.2.2 is the host, as in a virtual machine. Needs root,
`ip` and `qemu-system-x86_64`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

START_SECONDS: Final = 60.0
_NUMBERS: Final = itertools.count()
_LOG: Final = "qemu.log"


@dataclass(frozen=True, slots=True)
class Guest:
    """A box as its programs see the world. `outer` and `inner` are the names of its two namespaces."""

    outer: str
    inner: str
    qemu: subprocess.Popen[bytes]

    def command(self, arguments: Sequence[object]) -> list[str]:
        """Give the command for running a program in the guest."""
        return ["ip", "netns", "exec", self.inner, *map(str, arguments)]

    def run(
        self, arguments: Sequence[object], seconds: float = 60, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a program in the guest; give its output. The program must succeed."""
        done = subprocess.run(
            self.command(arguments),
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
        )
        assert done.returncode == 0, (
            f"{arguments[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done.stdout


@contextmanager
def namespace(label: str) -> Iterator[str]:
    """Make a network namespace with loopback; its name is unlike every other's."""
    name = f"aigw-{label}-{os.getpid()}-{next(_NUMBERS)}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _ip("netns", "del", name)


@contextmanager
def guest(folder: Path, outer: str, *, user: str = "") -> Iterator[Guest]:
    """Start QEMU in `outer` with its user network; `user` are further options of that network."""
    tap = f"tap{os.getpid() % 100_000}x{next(_NUMBERS)}"
    network = ",".join(filter(None, ["user,id=user", user]))
    command = ["ip", "netns", "exec", outer, "qemu-system-x86_64", "-M", "none", "-display", "none"]
    command += ["-monitor", "none", "-serial", "none", "-netdev", network]
    command += ["-netdev", f"tap,id=tap,ifname={tap},script=no,downscript=no"]
    command += [
        "-netdev",
        "hubport,id=one,hubid=0,netdev=user",
        "-netdev",
        "hubport,id=two,hubid=0,netdev=tap",
    ]
    with namespace("guest") as inner, (folder / _LOG).open("ab") as log:
        qemu = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait_for_tap(outer, tap, qemu, folder)
            _ip("-n", outer, "link", "set", tap, "netns", inner)
            _ip("-n", inner, "link", "set", tap, "up")
            _ip("-n", inner, "address", "add", "10.0.2.15/24", "dev", tap)
            _ip("-n", inner, "route", "add", "default", "via", "10.0.2.2")
            _ip("-n", inner, "-6", "address", "add", "fec0::15/64", "dev", tap, "nodad")
            yield Guest(outer, inner, qemu)
        finally:
            qemu.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                qemu.wait(10)
            qemu.kill()
            qemu.wait()


def _wait_for_tap(outer: str, tap: str, qemu: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    show = ["ip", "-n", outer, "link", "show", tap]
    while subprocess.run(show, check=False, capture_output=True).returncode:
        assert qemu.poll() is None, f"QEMU ended:\n{(folder / _LOG).read_text()}"
        assert time.monotonic() < deadline, "QEMU made no tap device in time"
        time.sleep(0.05)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
