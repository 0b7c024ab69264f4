"""The writes of one turn of the event loop, done together at its end.

A peer on the same host (a node agent, a test) sleeps between two writes that are some microseconds apart, and
waking it costs the writer more than the write. Together they wake it once. Nothing waits longer than the turn
that it was written in.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

logger = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 1024 * 1024


class WriteBatch:
    """Collects writes and does them in their order; one for all connections of a relay.

    Attributes:
        writes: what has not been written yet.
    """

    __slots__ = ("_bytes", "_loop", "writes")

    def __init__(self) -> None:
        self.writes: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` at the end of this turn, or at once when a lot has come together."""
        if not self.writes:
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_soon(self.flush)
        self.writes.append((transport, data))
        self._bytes += len(data)
        if self._bytes > MAX_BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write now. Whoever ends a connection cleanly calls this first."""
        if not self.writes:
            return
        writes, self.writes, self._bytes = self.writes, [], 0
        for transport, data in writes:
            if not transport.is_closing():
                try:
                    transport.write(data)
                except Exception:
                    # One connection's failure must not take the others' bytes with it.
                    logger.exception("a write failed")
                    transport.abort()
