"""Handing listeners to a successor: a new process asks the old process for its listening sockets.

The old process freezes changes and sends every listener and the REST socket over a Unix socket
(`SCM_RIGHTS`). Once the new process accepts, the old process stops accepting and lets its connections end by
themselves. The link stays open until the last connection has ended: the new process tells the old process
which lives were detached meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 30.0
"""How long either process waits for the other while sockets change hands."""

DROP_SECONDS: Final = 2.0
"""A predecessor is killed if it has not ended a detached life's connections by then."""

SOCKETS_PER_MESSAGE: Final = 100  # the kernel passes 253 at most
MAX_MESSAGE_BYTES: Final = 64 * 1024
TAKE: Final = b"take 1"
TAKEN: Final = b"taken"
_CREDENTIALS: Final = struct.Struct("3i")


class HandOverError(Exception):
    """The running process did not hand over; says why."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """Everything received from a predecessor: the listeners by generation, the REST socket, and the link."""

    boxes: dict[int, socket.socket]
    rest: socket.socket
    link: Predecessor


def ask(path: Path) -> Inheritance | None:
    """Ask the running process for its sockets; None where none runs. Blocks until the sockets have arrived.

    Raises:
        HandOverError: a process is there but does not hand over.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.settimeout(PATIENCE_SECONDS)
    try:
        made.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        made.close()
        return None
    except OSError as error:
        made.close()
        raise HandOverError(f"{path}: the running agent cannot be asked ({error.strerror})") from None
    try:
        made.send(TAKE)
        return _received(made)
    except (OSError, ValueError) as error:
        made.close()
        raise HandOverError(f"{path}: the running agent did not hand over ({error})") from None


def _received(link: socket.socket) -> Inheritance:
    boxes: dict[int, socket.socket] = {}
    rest: socket.socket | None = None
    while True:
        message, descriptors, _, _ = socket.recv_fds(link, MAX_MESSAGE_BYTES, SOCKETS_PER_MESSAGE)
        passed = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        names = json.loads(message) if message else None
        if names is None:
            raise ValueError("it ended the connection")
        if names == "end":
            break
        if len(names) != len(passed):
            raise ValueError("a message and its sockets do not match")
        for name, made in zip(names, passed, strict=True):
            if name == "rest":
                rest = made
            else:
                boxes[int(name)] = made
    if rest is None:
        raise ValueError("it gave no REST socket")
    return Inheritance(boxes, rest, Predecessor(link))


class Predecessor:
    """The link to a process with open connections of this node's boxes."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._pid = _peer_of(link)[0]
        self._asking = asyncio.Lock()
        self.is_gone = False

    def begin(self) -> None:
        """Tell the predecessor that this process now accepts on every listener."""
        self._link.send(TAKEN)
        self._link.setblocking(False)

    async def drop(self, generation: int) -> None:
        """Have the predecessor end the connections of a detached life.

        A process that does not answer is killed.
        """
        if self.is_gone:
            return
        loop = asyncio.get_running_loop()
        async with self._asking:
            try:
                async with asyncio.timeout(DROP_SECONDS):
                    await loop.sock_sendall(self._link, json.dumps({"drop": generation}).encode())
                    if not await loop.sock_recv(self._link, MAX_MESSAGE_BYTES):
                        self.is_gone = True
            except TimeoutError:
                logger.error("the agent that was replaced (pid %d) does not answer and is killed", self._pid)  # noqa: TRY400  # no traceback
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
                self.is_gone = True
            except OSError:
                self.is_gone = True

    async def wait_until_gone(self) -> None:
        """Wait until the predecessor's last connection has ended and the process with it."""
        while not self.is_gone:  # the other process says nothing; its end is seen
            await asyncio.sleep(1)
            if not _is_running(self._pid):
                self.is_gone = True

    def close(self) -> None:
        """Close the link: the predecessor ends its remaining connections."""
        self.is_gone = True
        self._link.close()


class HandOver:
    """The old process's end: listens for a successor.

    `sockets()` is asked once the successor is there; `freeze()` is entered before that and left only when the
    successor failed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener: socket.socket | None = None
        self._link: socket.socket | None = None

    def open(self) -> None:
        """Listen at the path, in place of a predecessor; only this user may connect."""
        self._path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.fchmod(made.fileno(), 0o600)
        made.bind(str(self._path))
        self._path.chmod(0o600)
        made.listen(1)
        made.setblocking(False)
        self._listener = made

    async def asked(self) -> None:
        """Wait until a successor asks."""
        assert self._listener is not None
        loop = asyncio.get_running_loop()
        while self._link is None:
            link, _ = await loop.sock_accept(self._listener)
            link.setblocking(False)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    asked = await loop.sock_recv(link, len(TAKE))
            except (OSError, TimeoutError):
                asked = b""
            if asked == TAKE and _peer_of(link)[1] == os.geteuid():
                self._link = link
            else:
                link.close()

    async def give(self, boxes: Mapping[int, socket.socket], rest: socket.socket) -> bool:
        """Send the sockets; tells whether the successor accepts from them now."""
        assert self._link is not None
        link = self._link
        try:
            link.settimeout(PATIENCE_SECONDS)
            await asyncio.to_thread(_send_all, link, boxes, rest)
            taken = await asyncio.to_thread(link.recv, len(TAKEN))
        except OSError:
            taken = b""
        if taken != TAKEN:
            link.close()
            self._link = None
            return False
        link.setblocking(False)
        if self._listener is not None:
            self._listener.close()  # its path belongs to the successor
            self._listener = None
        return True

    async def drops(self) -> Any:
        """Give the next generation detached by the successor; None when the successor is gone."""
        assert self._link is not None
        try:
            message = await asyncio.get_running_loop().sock_recv(self._link, MAX_MESSAGE_BYTES)
        except OSError:
            return None
        return json.loads(message)["drop"] if message else None

    async def dropped(self, generation: int) -> None:
        """Tell the successor that the generation's connections have ended."""
        assert self._link is not None
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(
                self._link, json.dumps({"dropped": generation}).encode()
            )

    @property
    def successor_pid(self) -> int:
        """The process id of the successor."""
        assert self._link is not None
        return _peer_of(self._link)[0]

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)
        if self._link is not None:
            self._link.close()


def _send_all(link: socket.socket, boxes: Mapping[int, socket.socket], rest: socket.socket) -> None:
    for names, sockets in _batches(boxes, rest):
        socket.send_fds(link, [json.dumps(names).encode()], [made.fileno() for made in sockets])
    link.send(json.dumps("end").encode())


def _batches(
    boxes: Mapping[int, socket.socket], rest: socket.socket
) -> Iterator[tuple[list[str], list[socket.socket]]]:
    named: list[tuple[str, socket.socket]] = [
        ("rest", rest),
        *((str(number), made) for number, made in boxes.items()),
    ]
    for start in range(0, len(named), SOCKETS_PER_MESSAGE):
        batch = named[start : start + SOCKETS_PER_MESSAGE]
        yield [name for name, _ in batch], [made for _, made in batch]


def _peer_of(link: socket.socket) -> tuple[int, int]:
    """Give process id and user id of the other end."""
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(raw)
    return pid, user


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
