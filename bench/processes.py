"""The programs started by the bench: each on its core, with its own log file, stopped by its pid."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from bench.machine import pinned_to

START_DEADLINE_SECONDS: Final = 60
STOP_GRACE_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.05
_LOG_TAIL_BYTES: Final = 2000


T = TypeVar("T")


class StartError(Exception):
    """A program did not come up; the message has the end of its log."""


class Program:
    """A running program, pinned; a context manager that leaves nothing behind."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, core: int, log: Path, cwd: Path | None = None
    ) -> None:
        self.name = name
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output, pinned_to(core):
            # A session of its own: Ctrl-C reaches the bench alone, which then stops the program by pid.
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The program's process id, from which descendants are found."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the program: politely, then by force."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_text(self) -> str:
        """The program's output so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, what: str, ready: Callable[[], T | None]) -> T:
        """Poll `ready` until a result comes; raises `StartError` when the program ends or is too slow."""
        give_up = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < give_up:
            if (found := ready()) is not None:
                return found
            if (status := self._process.poll()) is not None:
                raise StartError(f"{self.name} ended with status {status}: {self._tail()}")
            time.sleep(_POLL_SECONDS)
        raise StartError(f"{self.name}: no {what} within {START_DEADLINE_SECONDS} s: {self._tail()}")

    def wait_for_port(self, port: int) -> None:
        """Wait until something accepts connections on loopback."""
        self.wait_for(f"listener on port {port}", lambda: True if _accepts(port) else None)

    def _tail(self) -> str:
        return self.log_text()[-_LOG_TAIL_BYTES:].strip() or "it printed nothing"


def free_port() -> int:
    """A port, free a moment ago, for programs unable to pick a port themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
