"""The writes of one turn of the event loop, done together at its end; or each at once, while turns hold one.

A peer on the same host (a node agent, a test) sleeps between two writes that are some microseconds apart, and
waking it costs the writer more than the write. Together they wake it once. But a write that waits for the end
of its turn costs one more round of the loop, and where nothing else is written then, that is for nothing.
Nothing waits longer than the turn that it was written in (docs/adr/0009).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

logger = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 1024 * 1024
LONE_WRITES: Final = 2
"""A turn with no more of them is calm: a request and an answer of one connection, or two connections'."""
CALM_TURNS: Final = 16
"""So many calm turns in a row are needed before anything is written at once."""
WRITES_PER_LOOK: Final = 16
"""Of those that are written at once, every so many-th waits, to see what else comes in its turn."""


class WriteBatch:
    """Collects writes and does them in their order; one for all connections of a relay.

    Attributes:
        writes: what has not been written yet.
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
