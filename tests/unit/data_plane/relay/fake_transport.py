"""A transport without a socket: keeps the written bytes; as full, paused or closed as the test says."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

WATCHABLE: Final = os.eventfd(0, os.EFD_NONBLOCK)
"""A file descriptor for watching, on which nothing ever happens; one for all."""


class FakeSocket:
    """A socket that can be configured and watched; `options` holds the set options, in order."""

    def __init__(self) -> None:
        self.options: list[tuple[object, ...]] = []

    def fileno(self) -> int:
        return WATCHABLE

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 1000)

    def getpeername(self) -> tuple[str, int]:
        return ("127.0.0.1", 50_000)

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)


class FakeTransport(asyncio.Transport):
    """Closes when told to.

    Attributes:
        written: all written bytes, whatever their fate.
        pieces: the same bytes by call.
        socket: given to callers asking for the transport's socket.
        waiting: how many bytes the peer has not taken, as the test says.
        ended: how the transport ended: `close`, `abort`, or empty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.written = b""
        self.pieces: list[bytes] = []
        self.socket: object = FakeSocket()
        self.half_closable = True
        self.waiting = 0
        self.ended = ""
        self.half_closed = self.reading_paused = False
        self.high: int | None = None
        self.protocol: asyncio.BaseProtocol | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002  # asyncio's signature
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.pieces.append(bytes(data))

    def can_write_eof(self) -> bool:
        return self.half_closable

    def write_eof(self) -> None:
        self.half_closed = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.closing = True
        self.ended = self.ended or "abort"
