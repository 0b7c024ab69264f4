"""The writes of a turn of the event loop, done together at its end.

Or each at once, while turns hold a single write. A peer on the same host (a node agent, a test) sleeps
between two writes some microseconds apart, and waking the peer costs the writer more than the write.
Together, the writes wake the peer once. But a write deferred to the end of its turn costs another round of
the loop, in vain if alone. Nothing waits longer than the turn of its write (docs/adr/0009).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

logger = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 1024 * 1024
LONE_WRITES: Final = 2
"""A turn with no more of them is calm: a request and an answer of a connection, or of two connections."""
CALM_TURNS: Final = 16
"""So many calm turns in a row are needed before anything is written at once."""
WRITES_PER_LOOK: Final = 16
"""Of the immediate writes, every so many-th waits, to reveal other writes of its turn."""


class WriteBatch:
    """Collects writes and does them in their order; a single batch for all connections of a relay.

    Attributes:
        writes: the pending writes.
    """

    __slots__ = ("_bytes", "_calm_turns", "_loop", "_unlooked", "writes")

    def __init__(self) -> None:
        self.writes: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._bytes = 0
        self._calm_turns = 0
        self._unlooked = 0  # writes done at once since one has waited
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` at the end of this turn, or at once when turns are calm or a lot has come together."""
        if not self.writes:
            if self._calm_turns >= CALM_TURNS and self._unlooked < WRITES_PER_LOOK:
                self._unlooked += 1
                _write(transport, data)
                return
            self._unlooked = 0
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
        self._calm_turns = self._calm_turns + 1 if len(writes) <= LONE_WRITES else 0
        for transport, data in writes:
            _write(transport, data)


def _write(transport: asyncio.WriteTransport, data: bytes) -> None:
    if transport.is_closing():
        return
    try:
        transport.write(data)
    except Exception:
        # One connection's failure must not take the others' bytes with it.
        logger.exception("a write failed")
        transport.abort()
