"""Tells an asyncio task about a write committed by any thread."""

from __future__ import annotations

import asyncio
import contextlib
from threading import Lock


class CommitSignal:
    """Set from any thread, awaited by a single task. A signal before the wait is not lost."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came_early = False

    def announce(self) -> None:
        """Announce news; cheap, from any thread."""
        with self._lock:
            loop = self._loop
            self._came_early = loop is None
        if loop is not None:
            # A loop that is closing needs no wake-up: the next start reads everything anyway.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._changed.set)

    async def wait(self, timeout_seconds: float) -> None:
        """Return at the first signal since the last return, or after `timeout_seconds`."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._came_early:
                self._came_early = False
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_seconds)
        self._changed.clear()
