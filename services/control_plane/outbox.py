"""The outbox relay: carries committed events to the bus, in order, at least once, whatever the bus does.

The database is the truth: a crash between publishing and marking only publishes again, and the bus refuses
the repeat by its explicit id.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.control_plane.bus.port import Bus, BusError
from services.control_plane.store import outbox
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import Database
from shared.clock import Clock

BATCH_EVENTS: Final = 500
POLL_SECONDS: Final = 1.0
BACKOFF_FIRST_SECONDS: Final = 0.1
BACKOFF_LAST_SECONDS: Final = 5.0
KEEP_PUBLISHED_SECONDS: Final = 24 * 3600
PRUNE_EVERY_SECONDS: Final = 3600

_log = logging.getLogger(__name__)


class OutboxRelay:
    """Publishes what is committed; woken by `signal`, and by itself every `POLL_SECONDS`."""

    def __init__(self, database: Database, bus: Bus, signal: CommitSignal, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._signal = signal
        self._clock = clock
        self._pruned_at = 0.0
        self._failures = 0

    async def run(self) -> None:
        """Relay until cancelled; no failure ends it."""
        while True:
            try:
                while await self.relay_batch() == BATCH_EVENTS:
                    pass
                await self._prune()
            except Exception as error:  # noqa: BLE001  # the task's boundary: the next round tries again
                await self._back_off(error)
            else:
                self._recovered()
                await self._signal.wait(POLL_SECONDS)

    async def relay_batch(self) -> int:
        """Publish and mark the oldest events; give how many there were.

        Raises:
            BusError: the bus failed; those before it are marked.
        """
        events = await asyncio.to_thread(self._unpublished)
        published: list[int] = []
        try:
            for revision, event in events:
                await self._bus.publish(revision, event)
                published.append(revision)
        finally:
            if published:
                await asyncio.to_thread(self._mark, published)
        return len(events)

    def _unpublished(self) -> list[tuple[int, bytes]]:
        with self._database.read() as session:
            return outbox.unpublished(session, BATCH_EVENTS)

    def _mark(self, revisions: list[int]) -> None:
        with self._database.quiet_write() as session:
            outbox.mark_published(session, revisions, self._clock())

    async def _prune(self) -> None:
        now = self._clock()
        if now - self._pruned_at >= PRUNE_EVERY_SECONDS:
            self._pruned_at = now
            await asyncio.to_thread(self._forget, now - KEEP_PUBLISHED_SECONDS)

    def _forget(self, published_before: float) -> None:
        with self._database.quiet_write() as session:
            outbox.prune(session, published_before)

    async def _back_off(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            expected = isinstance(error, BusError)
            _log.warning(
                "events cannot be published, trying again: %s", error, exc_info=None if expected else error
            )
        pause = min(BACKOFF_FIRST_SECONDS * 2 ** min(self._failures - 1, 10), BACKOFF_LAST_SECONDS)
        await asyncio.sleep(pause)

    def _recovered(self) -> None:
        if self._failures:
            _log.info("events are published again, after %d failures", self._failures)
            self._failures = 0
