"""The sync task against a bus and a control plane with losses, damage, repeats and refusals."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.event_lag import EventLag
from services.data_plane.table.feed import (
    BusRead,
    BusUnavailable,
    MemoryBusReader,
)
from services.data_plane.table.position import Position
from services.data_plane.table.replacement import SLICE_ROWS
from services.data_plane.table.secrets import SecretLoader
from services.data_plane.table.sync import FULL_EVERY_POLLS, ConfigSync, SyncTimes
from shared.config_feed import Event, Snapshot, encode_event
from shared.memory_stream import MemoryStream
from shared.tasks import TaskSet
from tests.support.config_truth import FakeSecretReader, FakeSnapshotSource, Truth, document, row

LONG = 3_600.0
QUICK = SyncTimes(
    poll_seconds=LONG,
    poll_without_bus_seconds=0.01,
    spread_seconds=0.01,
    block_seconds=0.05,
    first_retry_seconds=0.001,
    max_retry_seconds=0.02,
    secret_retry_seconds=0.01,
    first_prefetch_seconds=30,
)
GENEROUS_SECONDS = 20


class FaultyBus:
    """A stream that can be down, and whose entries can be lost, altered or held on the way."""

    def __init__(self) -> None:
        self.stream = MemoryStream()
        self.inner = MemoryBusReader(self.stream)
        self.down = False
        self.mute = False
        self.mute_reads = 0
        self.beat: Position | None = None
        self.through: Callable[[tuple[int, bytes]], list[tuple[int, bytes]]] = lambda entry: [entry]

    def publish(self, event: Event) -> None:
        for revision, data in self.through((event.revision, encode_event(event))):
            self.stream.append(revision, data)

    async def require_usable(self) -> None:
        """The bus is usable."""

    async def read(self, here: Position, block_seconds: float) -> BusRead:
        if self.down:
            raise BusUnavailable("the test said so")
        if self.mute:
            await asyncio.sleep(block_seconds)
            self.mute_reads += 1
            return BusRead()
        if self.beat is not None:
            beat, self.beat = self.beat, None
            return BusRead(beat=beat)
        return await self.inner.read(here, block_seconds)

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass
class Bench:
    times: SyncTimes = QUICK
    truth: Truth = field(default_factory=Truth)
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    bus: FaultyBus = field(default_factory=FaultyBus)

    def __post_init__(self) -> None:
        now = asyncio.get_running_loop().time
        loader = SecretLoader(self.reader, monotonic=now, negative_seconds=0.001)
        self.table = ConfigTable(loader, clock=now, max_age_seconds=LONG, allow_plain_http=False)
        self.snapshots = FakeSnapshotSource(self.truth)
        self.lag = EventLag(lambda: 100.0)
        self.sync = ConfigSync(
            self.table,
            self.snapshots,
            self.bus,
            random=random.Random(1).random,
            times=self.times,
            lag=self.lag,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = TaskSet()
        tasks.start(self.sync.run(), "sync")
        try:
            yield
        finally:
            await tasks.aclose()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not condition():  # noqa: ASYNC110  # the conditions are plain values
                await asyncio.sleep(0.001)

    async def caught_up(self) -> None:
        await self.until(lambda: self.table.position == Position(self.truth.epoch, self.truth.now.revision))

    def loaded(self) -> bool:
        return isinstance(self.table.look_up("acme", "openai"), CompiledIntegration)


async def test_it_is_loaded_only_with_a_snapshot_and_its_secrets() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    bench.truth.put(row())
    bench.snapshots.down = True
    async with bench.running():
        await bench.until(lambda: len(bench.snapshots.asked) > 3)
        assert not bench.sync.loaded.is_set()
        assert bench.table.look_up("acme", "openai") is NotReady.UNKNOWN
        bench.snapshots.down = False
        await bench.until(bench.sync.loaded.is_set)
        assert bench.loaded()


async def test_a_secret_store_that_hangs_does_not_hold_up_the_start_for_ever() -> None:
    bench = Bench(SyncTimes(first_prefetch_seconds=0.01))
    bench.reader.gate = asyncio.Event()
    bench.truth.put(row())
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        assert bench.table.look_up("acme", "openai") is NotReady.LOADING


async def test_an_event_is_applied_and_its_secret_read_without_another_snapshot() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.publish(bench.truth.put(row()))
        await bench.until(bench.loaded)
        assert len(bench.snapshots.asked) == 1


async def test_the_lag_is_counted_of_applied_events_and_of_no_repeat() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        event = replace(bench.truth.put(row()), at=98.0)
        bench.bus.publish(event)
        await bench.caught_up()
        bench.bus.publish(event)
        bench.bus.publish(replace(bench.truth.put(row(version=2)), at=99.0))
        await bench.caught_up()
        assert (bench.lag.seconds.total, sum(bench.lag.seconds.counts)) == (3.0, 2)


async def test_a_gap_is_healed_by_a_snapshot() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.truth.put(row("lost"))
        bench.bus.publish(bench.truth.put(row()))
        await bench.caught_up()
        assert bench.table.look_up("lost", "openai") is NotReady.LOADING
        assert bench.snapshots.asked[1] == Position("epoch-1", 0)


@pytest.mark.parametrize("data", [b"", b"{}", encode_event(Event("epoch-1", 77, "put_node"))])
async def test_an_entry_that_is_no_event_is_healed_by_a_snapshot(data: bytes) -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.truth.put(row())
        bench.bus.stream.append(1, data)
        await bench.caught_up()


@pytest.mark.parametrize("beat", [Position("epoch-1", 1), Position("epoch-2", 0)])
async def test_a_beat_of_elsewhere_is_a_snapshot_at_once(beat: Position) -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.truth.put(row())
        bench.bus.beat = beat
        await bench.caught_up()


async def test_a_beat_of_here_or_behind_asks_for_no_snapshot() -> None:
    bench = Bench()
    bench.truth.put(row())
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        for revision in (0, 1):
            bench.bus.beat = Position("epoch-1", revision)
            await bench.until(lambda: bench.bus.beat is None)
        bench.bus.publish(bench.truth.put(row("later")))
        await bench.caught_up()
        assert len(bench.snapshots.asked) == 1


async def test_an_event_under_a_false_revision_is_not_applied() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        forged = Event("epoch-1", 1, "put_integration", row("forged"))
        bench.bus.stream.append(2, encode_event(forged))
        await bench.until(lambda: len(bench.snapshots.asked) > 1)
        assert bench.table.look_up("forged", "openai") is NotReady.MISSING


async def test_an_entry_that_no_snapshot_explains_is_no_storm_of_snapshots() -> None:
    bench = Bench(SyncTimes(poll_seconds=LONG, first_retry_seconds=0.05, max_retry_seconds=LONG))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.stream.append(1_000_000, b"garbage")
        await bench.until(lambda: len(bench.snapshots.asked) > 1)
        await asyncio.sleep(0.2)
        assert len(bench.snapshots.asked) < 6


async def test_while_the_bus_is_down_changes_come_by_polling() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.down = True
        bench.truth.put(row())
        await bench.caught_up()
        bench.bus.down = False
        bench.bus.publish(bench.truth.put(row("later")))
        await bench.caught_up()


async def test_with_everything_down_the_last_configuration_keeps_serving() -> None:
    bench = Bench()
    bench.reader.put(1, document())
    bench.truth.put(row())
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.down = bench.snapshots.down = True
        bench.reader.broken = RuntimeError("the store is down")
        before = len(bench.snapshots.asked)
        await bench.until(lambda: len(bench.snapshots.asked) > before + 3)
        assert bench.loaded()


async def test_a_lost_last_event_is_found_by_the_poll() -> None:
    bench = Bench(SyncTimes(poll_seconds=0.02, block_seconds=0.01))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.truth.put(row())
        await bench.caught_up()


async def test_every_so_many_polls_the_whole_snapshot_is_taken() -> None:
    bench = Bench(SyncTimes(poll_seconds=0.0001, block_seconds=0.01))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        forged = Event("epoch-1", 1, "put_integration", row("forged"))
        bench.truth.put(row("real"))
        bench.bus.stream.append(1, encode_event(forged))
        await bench.until(lambda: bench.table.look_up("forged", "openai") is NotReady.MISSING)
        await bench.until(lambda: bench.table.look_up("real", "openai") is NotReady.LOADING)
        await bench.until(lambda: len(bench.snapshots.asked) > FULL_EVERY_POLLS)
        assert None in bench.snapshots.asked[1:]


async def test_a_poll_at_the_same_revision_takes_nothing_in() -> None:
    bench = Bench(SyncTimes(poll_seconds=0.001, block_seconds=0.01))
    bench.truth.put(row())
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        slots = bench.table._slots
        await bench.until(lambda: len(bench.snapshots.asked) > FULL_EVERY_POLLS // 2)
        assert bench.table._slots is slots
        await bench.until(lambda: bench.table._slots is not slots)
        assert None in bench.snapshots.asked[1:]


async def test_others_have_their_turns_while_a_large_snapshot_is_taken_in() -> None:
    bench = Bench()
    number = 4 * SLICE_ROWS
    rows = tuple(row(f"org-{index}") for index in range(number))
    bench.truth.snapshots.append(replace(bench.truth.now, revision=1, integrations=rows))
    turns = 0
    async with bench.running():
        while not bench.sync.loaded.is_set():
            turns += bench.table._becoming is not None
            await asyncio.sleep(0)
    assert turns >= number / SLICE_ROWS


async def test_a_secret_that_failed_is_tried_again_until_it_is_there() -> None:
    bench = Bench()
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.bus.publish(bench.truth.put(row()))
        await bench.until(lambda: bool(bench.table.unusable))
        bench.reader.put(1, document())
        await bench.until(bench.loaded)


async def test_a_changed_secret_does_not_wait_behind_a_prefetch() -> None:
    bench = Bench()
    for number in range(100):
        bench.truth.put(row(f"org-{number}"))
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        bench.reader.gate = asyncio.Event()
        for number in range(100):
            bench.truth.put(row(f"org-{number}", version=2))
        bench.truth.put(row("lost", enabled=False))
        bench.bus.publish(bench.truth.put(row("lost")))
        await bench.caught_up()
        bench.bus.publish(bench.truth.put(row()))
        await bench.until(lambda: ("acme", "openai", 1) in bench.reader.reads)


async def test_a_loop_that_fails_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    broken = [RuntimeError("a bug")]

    class BrokenOnce(FaultyBus):
        async def read(self, here: Position, block_seconds: float) -> BusRead:
            if broken:
                raise broken.pop()
            return await super().read(here, block_seconds)

    bench.bus = BrokenOnce()
    bench.__post_init__()
    with caplog.at_level(logging.ERROR):
        async with bench.running():
            await bench.until(bench.sync.loaded.is_set)
            bench.bus.publish(bench.truth.put(row()))
            await bench.caught_up()
    assert "starts again" in caplog.text


async def test_a_first_load_that_fails_in_an_unforeseen_way_starts_again() -> None:
    bench = Bench()
    bench.truth.put(row())
    broken = [RuntimeError("a bug")]

    class BrokenOnce(FakeSnapshotSource):
        async def fetch(self, known: Position | None) -> Snapshot | None:
            if broken:
                raise broken.pop()
            return await super().fetch(known)

    bench.sync._snapshots = BrokenOnce(bench.truth)
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)


@pytest.mark.parametrize("seed", range(5))
async def test_over_a_bus_that_loses_and_alters_entries_the_table_still_ends_true(seed: int) -> None:
    dice = random.Random(seed)
    bench = Bench(SyncTimes(0.02, 0.01, 0.01, 0.01, 0.001, 0.01, 0.01, 1))

    def badly(entry: tuple[int, bytes]) -> list[tuple[int, bytes]]:
        match dice.randrange(5):
            case 0:
                return []
            case 1:
                return [(entry[0], entry[1][: dice.randrange(len(entry[1]))])]
            case 2:
                return [entry, entry]
            case _:
                return [entry]

    bench.bus.through = badly
    async with bench.running():
        await bench.until(bench.sync.loaded.is_set)
        for _ in range(60):
            bench.bus.publish(bench.truth.put(row(f"org-{dice.randrange(9)}", enabled=dice.random() < 0.7)))
            bench.snapshots.down = dice.random() < 0.2
            if dice.random() < 0.3:
                await asyncio.sleep(0.001)
        bench.snapshots.down = False
        await bench.caught_up()
    states = {one.org: one.enabled for one in bench.truth.now.integrations}
    for org, enabled in states.items():
        expected = NotReady.LOADING if enabled else NotReady.DISABLED
        assert bench.table.look_up(org, "openai") is expected
