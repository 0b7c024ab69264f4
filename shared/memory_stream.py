"""The in-process event bus: a single stream with explicit ids, behaving as a Redis Stream.

Written by the control plane, read by the data plane, when both run in one process (`aigw up`). Safe to
append to from any thread; readers are asyncio tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from threading import Lock
from typing import Final

MAX_ENTRIES: Final = 10_000


class MemoryStream:
    """A bounded, ordered stream of `(revision, data)`; the oldest entries are trimmed."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: deque[tuple[int, bytes]] = deque(maxlen=max_entries)
        self._last_revision = 0
        self._lock = Lock()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def append(self, revision: int, data: bytes) -> bool:
        """Add an entry; False, and nothing changed, when `revision` is not above the last one.

        Same as `XADD` with an explicit id, which refuses an id equal or smaller than the top item.
        """
        with self._lock:
            if revision <= self._last_revision:
                return False
            self._last_revision = revision
            self._entries.append((revision, data))
            waiters = list(self._waiters)
        for loop, changed in waiters:
            loop.call_soon_threadsafe(changed.set)
        return True

    async def read(self, after: int, block_seconds: float) -> list[tuple[int, bytes]]:
        """Give every entry above `after`, waiting up to `block_seconds` for the first; [] on a time-out.

        Same as `XREAD BLOCK`: trimmed entries are simply not there, and the reader sees the gap.
        """
        changed = asyncio.Event()
        waiter = (asyncio.get_running_loop(), changed)
        with self._lock:
            self._waiters.add(waiter)
        try:
            if not (found := self._above(after)):
                try:
                    await asyncio.wait_for(changed.wait(), block_seconds)
                except TimeoutError:
                    return []
                found = self._above(after)
            return found
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _above(self, after: int) -> list[tuple[int, bytes]]:
        with self._lock:
            return [entry for entry in self._entries if entry[0] > after]
