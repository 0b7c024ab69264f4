"""The outbox relay: carries committed events to the bus, in order, at least once, whatever the bus does.

Every process has a relay; the relays take turns, so a commit is published at once by its own process.

The database is the truth: a crash between publishing and marking only publishes again, and the bus refuses
the repeat by its explicit id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.control_plane.bus.port import Bus, BusAhead, BusError
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.store import outbox
from services.control_plane.store.advisory_lock import RelayTurn
from services.control_plane.store.changes import Counter, counter
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.database import Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.outage import DatabaseUnavailable
from shared.backoff import Backoff
from shared.clock import Clock
from shared.config_feed import HEARTBEAT_SECONDS

BATCH_EVENTS: Final = 500
POLL_SECONDS: Final = 1.0
BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)
SHORTEST_PAUSE_SECONDS: Final = 0.1
"""After a failure, however many commits ask for a new try."""
KEEP_PUBLISHED_SECONDS: Final = 24 * 3600
PRUNE_EVERY_SECONDS: Final = 3600
COPY_EVERY_SECONDS: Final = 30
"""The interval for renewing a missing or outdated copy of the snapshot."""

_log = logging.getLogger(__name__)


class OutboxRelay:
    """Publishes committed events; woken by `signal`, and by itself every `POLL_SECONDS`."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        signal: CommitSignal,
        clock: Clock,
        snapshots: KeptSnapshot,
        *,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._database = database
        self._bus = bus
        self._signal = signal
        self._clock = clock
        self._snapshots = snapshots
        self._lost_commits = LostCommits(database)
        self._backoff = backoff
        self._pruned_at = 0.0
        self._beat_at = 0.0
        self._beat_epoch = ""
        self._copied_at = 0.0
        self._failures = 0
        self.published = self.failures = 0

    async def run(self) -> None:
        """Relay until cancelled; failures do not end the relay."""
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
        """Publish and mark the oldest events in this process's turn; give how many there were.

        Raises:
            BusError: the bus failed; the events before the failure are marked.
        """
        async with self._turn() as mine:
            if not mine:
                return 0
            end, events = await asyncio.to_thread(self._unpublished)
            try:
                await self._publish(events)
                if len(events) < BATCH_EVENTS:
                    await self._tell_the_end(end)
            except BusAhead as ahead:
                await asyncio.to_thread(self._begin_epoch, ahead)
                raise
        return len(events)

    def _begin_epoch(self, ahead: BusAhead) -> None:
        seen = Counter(ahead.epoch, ahead.revision)
        if ahead.contradicts:
            self._lost_commits.contradicted(seen, "the event bus")
        else:
            self._lost_commits.suspect(seen, "the event bus")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[bool]:
        turn = RelayTurn(self._database)
        taking = asyncio.get_running_loop().run_in_executor(None, turn.take)
        try:
            yield await asyncio.shield(taking)
        finally:
            # Cancelled or not: a turn that a thread still waits for must not be kept by nobody.
            await asyncio.wait([taking])
            await asyncio.to_thread(turn.give_back)

    async def _publish(self, events: list[tuple[int, bytes]]) -> None:
        published: list[int] = []
        try:
            for revision, event in events:
                await self._bus.publish(revision, event)
                published.append(revision)
        finally:
            self.published += len(published)
            if published:
                await asyncio.to_thread(self._mark, published)

    async def _tell_the_end(self, end: Counter) -> None:
        """Tell readers the end of the stream, and keep a copy of the snapshot there, each at its interval."""
        now = self._clock()
        if now - self._beat_at >= HEARTBEAT_SECONDS or end.epoch != self._beat_epoch:
            await self._bus.heartbeat(end.epoch, end.revision)
            self._beat_at, self._beat_epoch = now, end.epoch
        if now - self._copied_at >= COPY_EVERY_SECONDS:
            if not await self._bus.confirm_snapshot(end.epoch, end.revision):
                kept = await self._snapshots.no_older_than(end)
                await self._bus.keep_snapshot(kept.at.epoch, kept.at.revision, kept.body)
            self._copied_at = now

    def _unpublished(self) -> tuple[Counter, list[tuple[int, bytes]]]:
        self._lost_commits.check()
        with self._database.read() as session:
            return counter(session), outbox.unpublished(session, BATCH_EVENTS)

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
        self.failures += 1
        if self._failures == 1:
            expected = isinstance(error, BusError | DatabaseUnavailable)
            _log.warning(
                "events cannot be published, trying again: %s", error, exc_info=None if expected else error
            )
        pause = self._backoff.pause_seconds(self._failures)
        await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
        # A commit shows that the database is back: the change that somebody waits for is tried at once.
        await self._signal.wait(pause - SHORTEST_PAUSE_SECONDS)

    def _recovered(self) -> None:
        if self._failures:
            _log.info("events are published again, after %d failures", self._failures)
            self._failures = 0
