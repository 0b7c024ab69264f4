"""Keeps the table true: a snapshot at start, then the stream, and a snapshot again whenever in doubt.

Three loops: the stream (low latency), the poll (heals whatever the stream lost), the secrets. The loops meet
only in the table, whose own rules decide about acceptance, so any interleaving is safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.data_plane.table.feed import BusUnavailable, SnapshotUnavailable
from services.data_plane.table.position import Decision, EndedEpochs, Position
from shared.backoff import Backoff, jittered
from shared.config_feed import FeedError, decode_event
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.data_plane.table.config_table import ConfigTable
    from services.data_plane.table.event_lag import EventLag
    from services.data_plane.table.feed import BusRead, BusReader, SnapshotSource
    from services.data_plane.table.slots import Key

logger = logging.getLogger(__name__)

JITTER: Final = 0.2
"""A fleet must not ask in step: every wait is drawn from ±20 %."""
FULL_EVERY_POLLS: Final = 60
"""Every so many polls the snapshot is taken even if its revision is known: heals forged events."""
PREFETCH_WORKERS: Final = 8
"""Below the loader's bound, so a request's own read never waits behind a whole prefetch."""
MAX_URGENT_READS: Final = 256
"""Reads started by events and still running; above this number, changes wait for their turn in the prefetch.
"""


@dataclass(frozen=True, slots=True)
class SyncTimes:
    """How long the loops wait, in seconds.

    `spread_seconds`: the bus fails for a whole fleet at once; each process polls at some moment within this
    time.
    """

    poll_seconds: float = 60
    poll_without_bus_seconds: float = 10
    spread_seconds: float = 3
    block_seconds: float = 5
    first_retry_seconds: float = 0.2
    max_retry_seconds: float = 10
    secret_retry_seconds: float = 5
    first_prefetch_seconds: float = 5


class ConfigSync:
    """Runs until cancelled. `random` gives floats in [0, 1), e.g. `random.Random().random`."""

    def __init__(
        self,
        table: ConfigTable,
        snapshots: SnapshotSource,
        bus: BusReader,
        *,
        random: Callable[[], float],
        times: SyncTimes | None = None,
        lag: EventLag | None = None,
    ) -> None:
        self._table = table
        self._snapshots = snapshots
        self._bus = bus
        self._random = random
        self._times = times or SyncTimes()
        self._lag = lag
        self._refreshing = asyncio.Lock()
        self._secrets_changed = asyncio.Event()
        self._bus_failed = asyncio.Event()
        self._polls = 0
        self._ended = EndedEpochs()
        self._tasks = TaskSet()
        self.loaded = asyncio.Event()
        """Set when the first snapshot is applied and its secrets were read, or took too long."""

    async def run(self) -> None:
        """Load, then keep up for ever."""
        try:
            await self._supervise(self._first_load)
            loops = (self._follow_stream, self._poll, self._keep_secrets)
            await asyncio.gather(*(self._tasks.start(self._supervise(loop), "config sync") for loop in loops))
        finally:
            await self._tasks.aclose()

    async def _supervise(self, loop: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a loop for ever, or until done.

        A fault in a loop must not freeze the configuration of a serving process, nor leave a process without
        any.
        """
        while True:
            try:
                await loop()
            except Exception:
                logger.exception("a config loop failed and starts again")
                await asyncio.sleep(self._times.max_retry_seconds)
            else:
                return

    async def _first_load(self) -> None:
        await self._refresh_until_done()
        try:
            async with asyncio.timeout(self._times.first_prefetch_seconds):
                await self._load_wanted()
        except TimeoutError:
            logger.warning("secrets are still being read; serving begins with those that are there")
        self.loaded.set()

    # -- the stream

    async def _follow_stream(self) -> None:
        fruitless = 0
        while True:
            try:
                heard = await self._bus.read(self._here, self._times.block_seconds)
            except BusUnavailable as error:
                if not self._bus_failed.is_set():
                    logger.warning("the event bus cannot be read, polling instead: %s", error)
                self._bus_failed.set()
                await asyncio.sleep(self._retry_delay(fruitless := fruitless + 1))
                continue
            if heard.entries or heard.beat is not None:
                self._bus_failed.clear()  # a Redis that merely answers is no working bus
            if await self._take(heard):
                fruitless = 0
            else:
                # An entry that no snapshot explains must not become a storm of snapshots.
                await asyncio.sleep(self._retry_delay(fruitless))
                fruitless += 1

    async def _take(self, heard: BusRead) -> bool:
        """Apply the result of a read; False when even a snapshot did not bring the table past a gap."""
        before = self._here
        foreign = self._apply_all(heard)
        if foreign is None:
            return True
        if foreign and foreign != before.epoch:
            # The whole fleet hears of a new epoch at the same moment.
            await asyncio.sleep(self._times.spread_seconds * self._random())
        await self._refresh_until_done()
        if foreign and foreign != self._here.epoch:
            self._ended.note(foreign)
        return self._here != before

    def _apply_all(self, heard: BusRead) -> str | None:
        """Apply everything up to the need for a snapshot; give the result of `_apply` there."""
        for revision, data in heard.entries:
            if (epoch := self._apply(revision, data)) is not None:
                return epoch
        if heard.beat is None or self._table.apply_beat(heard.beat) is not Decision.RESYNC:
            return None
        return heard.beat.epoch

    def _apply(self, revision: int, data: bytes) -> str | None:
        """Apply an entry; give its epoch when a snapshot is needed, "" without an epoch, else None."""
        try:
            event = decode_event(data)
        except FeedError as error:
            logger.warning("entry %d of the event bus is not an event: %s", revision, error)
            return ""
        if event.revision != revision:
            logger.warning("entry %d of the event bus holds another revision", revision)
            return ""
        if event.epoch in self._ended:
            return None  # played again: the control plane has said that this epoch is over
        verdict = self._table.apply_event(event)
        if verdict is Decision.ACCEPT and self._lag is not None:
            self._lag.note(event.at)
        if verdict is Decision.ACCEPT and event.integration is not None:
            self._load_soon((event.integration.org, event.integration.provider))
        return event.epoch if verdict is Decision.RESYNC else None

    @property
    def _here(self) -> Position:
        position = self._table.position
        assert position is not None, "the stream is followed from the first snapshot on"
        return position

    # -- snapshots

    async def _poll(self) -> None:
        while True:
            await self._poll_wait()
            self._polls += 1
            try:
                await self._refresh(full=self._polls % FULL_EVERY_POLLS == 0)
            except SnapshotUnavailable as error:
                logger.warning("no snapshot at the poll: %s", error)

    async def _poll_wait(self) -> None:
        """Wait for the next poll: long with a working bus, short without.

        A failing bus causes a poll soon, but never sooner after the last poll than during an outage: an
        intermittent bus must not make a storm of polls.
        """
        shortest = self._jittered(self._times.poll_without_bus_seconds)
        longest = self._jittered(self._times.poll_seconds)
        await asyncio.sleep(min(shortest, longest))
        if self._bus_failed.is_set() or longest <= shortest:
            return
        try:
            async with asyncio.timeout(longest - shortest):
                await self._bus_failed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._times.spread_seconds * self._random())

    async def _refresh_until_done(self) -> None:
        attempt = 0
        while True:
            try:
                await self._refresh()
            except SnapshotUnavailable as error:
                attempt += 1
                logger.warning("no snapshot yet (attempt %d): %s", attempt, error)
                await asyncio.sleep(self._retry_delay(attempt))
            else:
                return

    async def _refresh(self, *, full: bool = False) -> None:
        async with self._refreshing:
            known = self._table.position
            snapshot = await self._snapshots.fetch(None if full else known)
            if snapshot is None:
                self._table.confirm()
                return
            if known and snapshot.epoch == known.epoch and snapshot.revision < known.revision:
                logger.error(
                    "the control plane is behind this process: it has lost commits, or reads old ones"
                )
                self._table.doubt()
            for _ in self._table.apply_in_slices(snapshot):
                await asyncio.sleep(0)
            if known and known.epoch != self._here.epoch:
                self._ended.note(known.epoch)
            self._ended.forget(self._here.epoch)
            self._secrets_changed.set()

    # -- secrets

    async def _keep_secrets(self) -> None:
        while True:
            self._secrets_changed.clear()
            await self._load_wanted()
            retry = self._jittered(self._times.secret_retry_seconds) if self._table.wanted() else None
            try:
                async with asyncio.timeout(retry):
                    await self._secrets_changed.wait()
            except TimeoutError:
                continue

    def _load_soon(self, key: Key) -> None:
        """Read the secret of a change at once, past a running prefetch."""
        if not self._table.wants(key):
            return
        if len(self._tasks) < MAX_URGENT_READS:
            self._tasks.start(self._load_now(key), "read a changed secret")
        else:
            self._secrets_changed.set()

    async def _load_now(self, key: Key) -> None:
        await self._table.load(*key)
        if self._table.wants(key):
            self._secrets_changed.set()  # it failed: the loop of the secrets tries again

    async def _load_wanted(self) -> None:
        wanted = iter(self._table.wanted())
        await asyncio.gather(*(self._load_each(wanted) for _ in range(PREFETCH_WORKERS)))

    async def _load_each(self, wanted: Iterator[Key]) -> None:
        for org, provider in wanted:
            await self._table.load(org, provider)

    # -- waiting

    def _jittered(self, seconds: float) -> float:
        return jittered(seconds, JITTER, self._random())

    def _retry_delay(self, attempt: int) -> float:
        backoff = Backoff(self._times.first_retry_seconds, self._times.max_retry_seconds)
        return self._jittered(backoff.pause_seconds(attempt + 1))
