"""A transport without a socket: keeps what is written, and is as full, paused or closed as the test says."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

WATCHABLE: Final = os.eventfd(0, os.EFD_NONBLOCK)
"""A number that can be watched and on which nothing ever happens; one for all."""


class FakeSocket:
    """A socket that can be configured and watched."""

    def fileno(self) -> int:
        return WATCHABLE

    def setsockopt(self, *_: object) -> None:
        pass


class FakeTransport(asyncio.Transport):
    """Closes when told to.

    Attributes:
        written: everything that was written, whatever became of it.
        waiting: how many bytes the peer has not taken, as the test says.
        ended: how it ended: `close`, `abort`, or empty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.written = b""
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

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return FakeSocket() if name == "socket" else default

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.closing = True
        self.ended = self.ended or "abort"
