"""From committed rows to the bus, whatever the bus does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from sqlmodel import select

from services.control_plane.bus.port import BusError
from services.control_plane.outbox import (
    COPY_EVERY_SECONDS,
    KEEP_PUBLISHED_SECONDS,
    PRUNE_EVERY_SECONDS,
    OutboxRelay,
)
from services.control_plane.store.advisory_lock import RelayTurn
from services.control_plane.store.changes import Author, changing
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.orgs import put_org
from services.control_plane.store.tables import OutboxTable
from shared.backoff import Backoff
from shared.config_feed import encode_snapshot, snapshot_etag
from tests.unit.control_plane.world import World

DEADLINE_SECONDS = 20


class ScriptedBus:
    """Takes events; fails while told to, before or after taking an event."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.beats: list[tuple[str, int]] = []
        self.copies: list[tuple[str, bytes]] = []
        self.failing = 0
        self.fails_after_taking = False
        self.changed = asyncio.Event()

    async def require_usable(self) -> None:
        """The bus is usable."""

    async def publish(self, revision: int, event: bytes) -> None:
        assert event
        if self.failing and not self.fails_after_taking:
            self.failing -= 1
            raise BusError("the bus is away")
        self.taken.append(revision)
        self.changed.set()
        if self.failing:
            self.failing -= 1
            raise BusError("the bus took it, and the answer was lost")

    async def heartbeat(self, epoch: str, revision: int) -> None:
        self.beats.append((epoch, revision))

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:
        return bool(self.copies) and self.copies[-1][0] == snapshot_etag(epoch, revision)

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        self.copies.append((snapshot_etag(epoch, revision), body))

    async def aclose(self) -> None:
        """Nothing is held."""

    async def has(self, revision: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while revision not in self.taken:
                self.changed.clear()
                await self.changed.wait()


def commit(world: World, name: str) -> int:
    with changing(world.database) as session:
        put_org(session, Author("platform", 1.0), "acme", name)
    return world.revision()


def relay_of(world: World, bus: ScriptedBus, **pauses: Backoff) -> OutboxRelay:
    signal = CommitSignal()
    world.database.on_commit(signal.announce)
    return OutboxRelay(world.database, bus, signal, world.clock, world.snapshots, **pauses)


@contextlib.asynccontextmanager
async def running(relay: OutboxRelay) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(relay.run())
        try:
            yield
        finally:
            task.cancel()


def copy_of(world: World) -> tuple[str, bytes]:
    now = world.snapshot()
    return snapshot_etag(now.epoch, now.revision), encode_snapshot(now)


def marked(world: World) -> dict[int, bool]:
    with world.database.read() as session:
        return {row.revision: row.published_at is not None for row in session.exec(select(OutboxTable))}


async def test_committed_events_are_published_in_order_and_marked(world: World) -> None:
    bus = ScriptedBus()
    assert await relay_of(world, bus).relay_batch() == 3
    assert bus.taken == [1, 2, 3]
    assert marked(world) == {1: True, 2: True, 3: True}
    assert await relay_of(world, bus).relay_batch() == 0


async def test_a_commit_wakes_the_relay(world: World) -> None:
    bus = ScriptedBus()
    async with running(relay_of(world, bus)):
        await bus.has(3)
        await bus.has(await asyncio.to_thread(commit, world, "Renamed"))


async def test_a_failing_bus_loses_nothing_and_keeps_the_order(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bus = ScriptedBus()
    bus.failing = 3
    with caplog.at_level(logging.INFO):
        async with running(relay_of(world, bus)):
            await bus.has(3)
            last = await asyncio.to_thread(commit, world, "Renamed")
            await bus.has(last)
    assert bus.taken == [1, 2, 3, last]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "an outage is one line, not one per try"


async def test_a_commit_ends_the_pause_after_a_failure(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit shows the database is back; the change must not wait for the end of an earlier pause."""
    bus = ScriptedBus()
    bus.failing = 1
    async with running(relay_of(world, bus, backoff=Backoff(3600, 3600))):
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not caplog.messages:  # noqa: ASYNC110  # the warning is all there is to see
                await asyncio.sleep(0.01)
        await bus.has(await asyncio.to_thread(commit, world, "Renamed"))


async def test_an_answer_that_was_lost_means_publishing_again(world: World) -> None:
    bus = ScriptedBus()
    bus.failing, bus.fails_after_taking = 1, True
    relay = relay_of(world, bus)
    with pytest.raises(BusError):
        await relay.relay_batch()
    assert marked(world) == {1: False, 2: False, 3: False}
    await relay.relay_batch()
    assert bus.taken == [1, 1, 2, 3]


async def test_what_was_published_before_a_failure_is_marked(world: World) -> None:
    class BreaksAtTwo(ScriptedBus):
        async def publish(self, revision: int, event: bytes) -> None:
            self.failing = int(revision == 2)
            await super().publish(revision, event)

    with pytest.raises(BusError):
        await relay_of(world, BreaksAtTwo()).relay_batch()
    assert marked(world) == {1: True, 2: False, 3: False}


async def test_old_published_rows_are_forgotten_and_unpublished_ones_never(world: World) -> None:
    bus = ScriptedBus()
    relay = relay_of(world, bus)
    await relay.relay_batch()
    world.clock.now += KEEP_PUBLISHED_SECONDS + PRUNE_EVERY_SECONDS
    last = commit(world, "Renamed")
    bus.failing = 1
    with pytest.raises(BusError):
        await relay.relay_batch()
    async with running(relay):
        await bus.has(last)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while set(marked(world)) != {last}:  # noqa: ASYNC110  # a row is all there is to see
                await asyncio.sleep(0.01)


async def test_the_end_of_the_stream_is_told_once_everything_is_published(world: World) -> None:
    bus = ScriptedBus()
    relay = relay_of(world, bus)
    bus.failing = 1
    with pytest.raises(BusError):
        await relay.relay_batch()
    assert bus.beats == [], "a reader must not be told of events that are not there"
    await relay.relay_batch()
    assert bus.beats == [(world.snapshot().epoch, 3)]
    assert bus.copies == [copy_of(world)]


async def test_a_copy_of_the_snapshot_is_renewed_only_after_a_change(world: World) -> None:
    bus = ScriptedBus()
    relay = relay_of(world, bus)
    for _ in range(3):
        await relay.relay_batch()
        world.clock.now += COPY_EVERY_SECONDS
    assert len(bus.copies) == 1
    commit(world, "Renamed")
    await relay.relay_batch()
    assert [etag.rpartition("-")[2] for etag, _ in bus.copies] == ['3"', '4"']
    assert len(bus.beats) == 4


async def test_a_copy_that_the_bus_has_lost_is_made_again_without_a_change(world: World) -> None:
    bus = ScriptedBus()
    relay = relay_of(world, bus)
    await relay.relay_batch()
    bus.copies.clear()
    await relay.relay_batch()
    assert bus.copies == [], "it is not asked about all the time"
    world.clock.now += COPY_EVERY_SECONDS
    await relay.relay_batch()
    assert bus.copies == [copy_of(world)]


@pytest.mark.parametrize("world", ["postgres"], indirect=True)
async def test_of_several_relays_one_publishes_at_a_time(world: World) -> None:
    class Slow(ScriptedBus):
        inside = 0
        most_inside = 0

        async def publish(self, revision: int, event: bytes) -> None:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            await asyncio.sleep(0.01)
            self.inside -= 1
            await super().publish(revision, event)

    bus = Slow()
    relays = [relay_of(world, bus) for _ in range(3)]
    await asyncio.gather(*(relay.relay_batch() for relay in relays))
    assert bus.most_inside == 1
    assert bus.taken == [1, 2, 3]


@pytest.mark.parametrize("world", ["postgres"], indirect=True)
async def test_a_relay_that_is_stopped_while_it_waits_keeps_no_turn(world: World) -> None:
    holder = RelayTurn(world.database)
    assert holder.take()
    waiting = relay_of(world, ScriptedBus())
    task = asyncio.gather(waiting.relay_batch())
    await asyncio.sleep(0.1)
    task.cancel()
    holder.give_back()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    bus = ScriptedBus()
    assert await relay_of(world, bus).relay_batch() == 3
