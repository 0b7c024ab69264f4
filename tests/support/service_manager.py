"""A stand-in of the service manager: keeps sockets of a service, and passes them at its next start.

Speaks sd_notify(3) (READY, FDSTORE, FDSTOREREMOVE, MAINPID) and sd_listen_fds(3), as systemd does.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

MAX_MESSAGE_BYTES: Final = 4096
MAX_SOCKETS: Final = 16
_HIGH_DESCRIPTOR: Final = 500
_FIRST_PASSED: Final = 3
_POLL_SECONDS: Final = 0.2


class ServiceManager:
    """`with ServiceManager(folder) as manager` listens; `start_command` wraps a service's command line.

    Attributes:
        messages: the names of all variables sent, with their values, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify.sock"
        self.messages: list[str] = []
        self._stored: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a service."""
        return {"NOTIFY_SOCKET": str(self.path)}

    @property
    def stored(self) -> list[str]:
        """The names of the sockets kept now."""
        with self._lock:
            return sorted(name for name, _ in self._stored)

    def start_command(self, command: Sequence[str]) -> tuple[list[str], list[int]]:
        """Give the command to start a service with every kept socket, and the descriptors to pass.

        A shell moves the descriptors to 3, 4, … and becomes the service, so that LISTEN_PID is its own.
        """
        with self._lock:
            kept = list(self._stored)
        moves = [f"{_FIRST_PASSED + place}<&{descriptor}" for place, (_, descriptor) in enumerate(kept)]
        moves += [f"{descriptor}<&-" for _, descriptor in kept]
        names = ":".join(name for name, _ in kept)
        script = f"export LISTEN_PID=$$ LISTEN_FDS={len(kept)} LISTEN_FDNAMES='{names}'; "
        script += f'exec "$@" {" ".join(moves)}'
        return ["bash", "-c", script, "service", *command], [descriptor for _, descriptor in kept]

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.settimeout(_POLL_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
        for _name, descriptor in self._stored:
            os.close(descriptor)

    def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                data, ancillary, _, _ = self._socket.recvmsg(
                    MAX_MESSAGE_BYTES, socket.CMSG_SPACE(MAX_SOCKETS * array.array("i").itemsize)
                )
                passed = array.array("i")
                for level, kind, content in ancillary:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        passed.frombytes(content)
                self._take(data.decode(), list(passed))

    def _take(self, message: str, passed: list[int]) -> None:
        fields = dict(line.split("=", 1) for line in message.splitlines())
        name = fields.get("FDNAME", "stored")
        with self._lock:
            self.messages += message.splitlines()
            if fields.get("FDSTORE") == "1":
                for descriptor in passed:
                    self._stored.append((name, fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH_DESCRIPTOR)))
            elif fields.get("FDSTOREREMOVE") == "1":
                for forgotten in [one for one in self._stored if one[0] == name]:
                    self._stored.remove(forgotten)
                    os.close(forgotten[1])
        for descriptor in passed:
            os.close(descriptor)
