"""A transport without a socket, for what only asks whether it is open."""

from __future__ import annotations

import asyncio


class FakeTransport(asyncio.Transport):
    """Closes when told to."""

    closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True
