"""A side of a spliced connection: bytes from either side go to the other, and so does the way a side ended.

An end of sending is passed on as such, a reset as a reset. A side that does not read pauses the other. No
byte is looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""Above this many unsent bytes of one side, the other side is not read. A last read may come on top: at most
256 KB, and no more than the kernel holds for the socket.
"""

MAX_LAST_BYTES: Final = 256 * 1024
"""Read from a connection that broke under a write: enough for an early answer to an upload."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """The notices of a side to its owner."""

    def side_is_ending(self, side: Side) -> None:
        """This side will send nothing beyond the bytes already waiting."""

    def side_has_ended(self, side: Side) -> None:
        """This side's transport is gone."""


class Side:
    """An end of a connection. Both sides hold each other from `join` until one of them is lost.

    Compiled where it can be (docs/adr/0014), as it runs for every piece: hence no base of asyncio's.
    """

    __slots__ = ("_owner", "_pass_on", "bytes_in", "is_at_end", "other", "transport")

    transport: asyncio.Transport
    _pass_on: Callable[[bytes], None]

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.other: Side | None = None
        self.bytes_in = 0
        self.is_at_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def join(self, other: Side) -> None:
        """Splice with another side; both transports are there."""
        self.other, other.other = other, self
        self._pass_on, other._pass_on = other.transport.write, self.transport.write

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self.bytes_in += len(data)
        self._pass_on(data)

    def eof_received(self) -> bool:
        """Pass the end of sending on; the transport stays open for what the other side still sends."""
        self.is_at_end = True
        other = self.other
        if other is None:
            return False
        if not other.transport.can_write_eof() or other.is_at_end:
            other.transport.close()
        else:
            other.transport.write_eof()
        self._owner.side_is_ending(other)
        if other.is_at_end:
            self.transport.close()
        # A TLS connection ends as a whole, and asyncio warns of an answer that would keep one half.
        return self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side the same way as this side ended."""
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            if exc is None and self.is_at_end:
                other.transport.close()
            else:
                if exc is not None and (rest := last_bytes(self.transport)):
                    self.bytes_in += len(rest)
                    other.transport.write(rest)
                other.reset()
            self._owner.side_is_ending(other)
        self._owner.side_has_ended(self)

    def pause_writing(self) -> None:
        """This side does not read for now: read no more from the other."""
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side reads again."""
        if self.other is not None:
            self.other.transport.resume_reading()

    def reset(self) -> None:
        """End this side by a reset, after the waiting bytes have left; `abort` does not wait."""
        reset_on_close(self.transport)
        if self.transport.get_write_buffer_size():
            self.transport.close()
        else:
            self.transport.abort()

    def abort(self) -> None:
        """End this side by a reset, at once."""
        reset_on_close(self.transport)
        self.transport.abort()


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Have the kernel send a reset when the transport's socket closes. Unix sockets know none."""
    made = transport.get_extra_info("socket")
    if made is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def last_bytes(transport: asyncio.BaseTransport) -> bytes:
    """Give the bytes still waiting at the socket of a lost connection; for `connection_lost` only.

    A server that refuses an upload answers and closes, and its kernel resets the connection. The event loop
    may notice a failed write first and read no more, although the answer is there. Below TLS the waiting
    bytes are encrypted, and none of them is given.
    """
    made = transport.get_extra_info("socket")
    data = b""
    if made is not None and transport.get_extra_info("sslcontext") is None:
        with contextlib.suppress(OSError):
            while len(data) < MAX_LAST_BYTES and (
                piece := os.read(made.fileno(), MAX_LAST_BYTES - len(data))
            ):
                data += piece
    return data
