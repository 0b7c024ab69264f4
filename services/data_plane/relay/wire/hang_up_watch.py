"""Notices a leaving box whose connection is not read, because the provider takes no more.

Without reading, no FIN is seen, and an event loop with nothing to wait for on a socket sees no RST either.
The kernel knows of both: an epoll of our own, which the loop waits for like for any other file, asks for
nothing else. A pause costs two system calls. Linux only; elsewhere the deadlines have to do.

Bytes outside the kernel stay unknown: a FIN behind more bytes than its receive buffer takes stays at the
sender, and is seen when the provider takes bytes again or by `write_stall_seconds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class HangUpWatch:
    """The sockets not being read now; a single watch for all connections of a relay."""

    def __init__(self) -> None:
        self._left: dict[int, Callable[[], None]] = {}
        self._poll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._left)

    def add(self, fd: int, left: Callable[[], None]) -> None:
        """Call `left` once when the peer of this socket has closed its side or reset the connection."""
        if sys.platform != "linux":
            return
        if self._poll is None:
            self._poll = select.epoll()
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._poll.fileno(), self._ready)
        self._left[fd] = left
        with contextlib.suppress(FileExistsError):
            self._poll.register(fd, select.EPOLLRDHUP)

    def discard(self, fd: int) -> None:
        """The socket is read again, or about to be closed."""
        if self._left.pop(fd, None) is not None and self._poll is not None:
            with contextlib.suppress(OSError):
                self._poll.unregister(fd)

    def _ready(self) -> None:
        assert self._poll is not None
        for fd, _ in self._poll.poll(0):
            left = self._left.get(fd)
            self.discard(fd)
            if left is not None:
                left()

    def close(self) -> None:
        """Watch nothing any more."""
        if self._poll is not None and self._loop is not None:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        self._left.clear()
