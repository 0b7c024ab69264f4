"""A real server as a child process: its folder, its log, its life. Ended by its process id only."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 without a listener at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections on 127.0.0.1:`port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def short_folder(prefix: str) -> Path:
    """Make a folder with a short path: the path of a Unix socket has at most 107 bytes."""
    return Path(tempfile.mkdtemp(prefix=f"aigw-{prefix}-"))


@dataclass(slots=True)
class ServerProcess:
    """A server's process and the folder that goes with it.

    Attributes:
        folder: all files of the server, its `log` too; removed at `close`.
        stop_signal: asks the server to stop at once but cleanly.
        user: the system user to run as, where the server refuses to be root.
    """

    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """The output of the server."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def start(
        self,
        command: Sequence[object],
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        passed: Sequence[int] = (),
    ) -> None:
        """Start the server and wait until `ready`; fails with the log when the process ends before."""
        assert self._process is None, "it runs already"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=env,
                pass_fds=passed,
                user=self.user,
                group=None if self.user is None else self.user_group,
                extra_groups=None if self.user is None else [],
            )
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            code = self._process.poll()
            assert code is None, f"{command[0]} ended with {code}:\n{self.log}"
            assert time.monotonic() < deadline, f"{command[0]} was not ready in time:\n{self.log}"
            time.sleep(_POLL_SECONDS)

    @property
    def user_group(self) -> int:
        """The group of the server's user."""
        import pwd  # noqa: PLC0415  # there is none on Windows

        assert self.user is not None
        return pwd.getpwnam(self.user).pw_gid

    def stop(self) -> None:
        """Ask the server to stop, and kill a server that does not."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, e.g. SIGSTOP to make the server hang."""
        assert self._process is not None, "it was never started"
        self._process.send_signal(number)

    def ended(self, seconds: float) -> int:
        """Wait until the process has ended by itself; give its exit code."""
        assert self._process is not None, "it was never started"
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {seconds} s:\n{self.log}") from None
        self._process = None
        return code

    def close(self) -> None:
        """Stop the server and remove all its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Server(ABC):
    """A server in a process of its own: `with` starts the server, and ends the process in any case.

    Attributes:
        port: the server's, on 127.0.0.1.
    """

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self.port = free_port()

    @property
    def folder(self) -> Path:
        """Its working folder."""
        return self._process.folder

    @property
    def process(self) -> ServerProcess:
        """The server's process, for tests of a stopped or killed server."""
        return self._process

    @abstractmethod
    def start(self) -> None:
        """Start the server, also again after `process.stop` or `process.kill`, on the same port."""

    def _begin(self) -> None:
        """The first start, with the preparations needed once after the start."""
        self.start()

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._process.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()
