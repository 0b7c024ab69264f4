"""The two sides of the Redis bus on a real server: what a reader hears after whatever happened to Redis."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from services.control_plane.bus.port import BusAhead, BusError
from services.control_plane.bus.redis import RedisBus
from services.data_plane.table.feed import BusRead, BusUnavailable
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import (
    RedisBusReader,
)
from shared.clock import unix_now
from shared.config_feed import (
    HEARTBEAT_KEY,
    STREAM_KEY,
    Event,
    IntegrationRow,
    encode_event,
)
from shared.redis_link import connect, parse_redis_url
from tests.support.feed_keys import FEED_KEYS
from tests.support.redis_sides import GENEROUS_SECONDS, A, B, Sides, event, sides_of
from tests.support.servers.valkey import ValkeyServer


@pytest.fixture
async def sides(valkey: ValkeyServer) -> AsyncIterator[Sides]:
    made = sides_of(valkey.url)
    yield made
    await made.aclose()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Redis that a test may break."""
    with ValkeyServer() as server:
        yield server


# -- the heartbeat


async def test_a_beat_is_heard_once_and_says_where_the_stream_ends(sides: Sides) -> None:
    await sides.bus.publish(1, event(1))
    assert await sides.hear(0) == BusRead(((1, event(1)),))
    await sides.bus.heartbeat(A, 1)
    assert await sides.hear(1) == BusRead(beat=Position(A, 1))
    assert await sides.hear(1) == BusRead()


async def test_the_first_beat_that_a_reader_hears_tells_the_epoch_as_well(sides: Sides) -> None:
    await sides.bus.heartbeat(B, 5)
    assert await sides.hear(5) == BusRead(beat=Position(B, 5))


async def test_events_and_the_heartbeat_after_them_come_as_events_only(sides: Sides) -> None:
    for revision in (1, 2):
        await sides.bus.publish(revision, event(revision))
    await sides.bus.heartbeat(A, 2)
    assert await sides.hear(0) == BusRead(((1, event(1)), (2, event(2))))


async def test_a_waiting_reader_wakes_at_a_heartbeat(sides: Sides) -> None:
    reading = asyncio.gather(sides.hear(1, GENEROUS_SECONDS))
    await asyncio.sleep(0.05)
    await sides.bus.heartbeat(A, 2)
    assert (await reading)[0].beat == Position(A, 2)


async def test_a_beat_that_is_none_is_passed_over(sides: Sides, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.xadd(HEARTBEAT_KEY, {"beat": b"garbage"})
    assert await sides.hear(1) == BusRead()


async def test_of_several_writers_one_beats_per_period(sides: Sides, valkey: ValkeyServer) -> None:
    for _ in range(5):
        await sides.bus.heartbeat(A, 1)
    with valkey.client() as client:
        assert client.xinfo_stream(HEARTBEAT_KEY)["entries-added"] == 1
        await sides.bus.heartbeat(A, 2)
        assert client.xinfo_stream(HEARTBEAT_KEY)["entries-added"] == 2
        assert client.xlen(HEARTBEAT_KEY) == 1


async def test_silence_of_the_writer_means_that_the_bus_is_not_to_be_relied_on(sides: Sides) -> None:
    assert await sides.read(0) == []
    sides.clock.now += 60
    with pytest.raises(BusUnavailable, match="nothing was heard"):
        await sides.read(0)
    await sides.bus.heartbeat(A, 0)
    assert await sides.hear(0) == BusRead(beat=Position(A, 0))
    assert await sides.hear(0) == BusRead()


async def test_a_beat_that_was_heard_before_does_not_end_the_silence(sides: Sides) -> None:
    await sides.bus.heartbeat(A, 0)
    assert await sides.hear(0) == BusRead(beat=Position(A, 0))
    sides.clock.now += 60
    for _ in range(3):
        with pytest.raises(BusUnavailable, match="nothing was heard"):
            await sides.read(0)


# -- what happens to Redis


async def test_a_flush_loses_a_reader_nothing_that_it_does_not_notice(
    sides: Sides, valkey: ValkeyServer
) -> None:
    await sides.bus.publish(1, event(1))
    assert await sides.read(0) == [(1, event(1))]
    await sides.bus.publish(2, event(2))
    with valkey.client() as client:
        client.flushall()
    assert await sides.read(1) == []
    await sides.bus.heartbeat(A, 2)
    assert (await sides.hear(1)).beat == Position(A, 2)
    await sides.bus.publish(3, event(3))
    assert await sides.read(2) == [(3, event(3))]


async def test_the_stream_is_bounded_and_a_slow_reader_sees_the_gap(valkey: ValkeyServer) -> None:
    sides = sides_of(valkey.url, max_entries=100)
    for revision in range(1, 1_001):
        await sides.bus.publish(revision, event(revision))
    with valkey.client() as client:
        assert client.xlen(STREAM_KEY) < 400, "trimming is approximate, by whole nodes"
    first, _ = (await sides.read(1))[0]
    assert first > 2
    await sides.aclose()


async def test_a_repeat_of_what_was_trimmed_is_no_error(sides: Sides, valkey: ValkeyServer) -> None:
    for revision in (1, 2, 3):
        await sides.bus.publish(revision, event(revision))
    with valkey.client() as client:
        client.xtrim(STREAM_KEY, maxlen=1, approximate=False)
        await sides.bus.publish(1, event(1))
        assert client.xlen(STREAM_KEY) == 1


@pytest.mark.parametrize("revision", [1, 2, 3])
async def test_a_restored_database_begins_the_stream_anew(sides: Sides, revision: int) -> None:
    for number in (1, 2, 3):
        await sides.bus.publish(number, event(number))
    await sides.bus.heartbeat(A, 3)
    assert await sides.read(3) == []
    await sides.bus.publish(revision, event(revision, B))
    assert await sides.read(revision - 1) == [(revision, event(revision, B))]
    await sides.bus.publish(revision + 1, event(revision + 1, B))
    assert await sides.read(revision) == [(revision + 1, event(revision + 1, B))]
    await sides.bus.heartbeat(B, revision + 1)
    told = BusRead(beat=Position(B, revision + 1))
    assert await sides.hear(3) == told, "a reader of the life before is told, whatever its revision"


async def test_another_change_at_the_same_place_proves_lost_commits(sides: Sides) -> None:
    await sides.bus.publish(1, event(1))
    other = IntegrationRow("acme", "openai", enabled=False, secret_version=1)
    with pytest.raises(BusAhead) as found:
        await sides.bus.publish(1, encode_event(Event(A, 1, "put_integration", integration=other)))
    assert (found.value.epoch, found.value.revision, found.value.contradicts) == (A, 1, True)
    assert await sides.read(0) == [(1, event(1))]


async def test_a_stream_above_the_counter_proves_lost_commits(sides: Sides) -> None:
    for number in (1, 2, 3):
        await sides.bus.publish(number, event(number))
    with pytest.raises(BusAhead) as found:
        await sides.bus.heartbeat(A, 2)
    assert (found.value.epoch, found.value.revision, found.value.contradicts) == (A, 3, False)
    await sides.bus.heartbeat(A, 3)


async def test_what_is_no_change_at_a_place_never_keeps_the_change_out(
    sides: Sides, valkey: ValkeyServer
) -> None:
    await sides.bus.publish(1, event(1))
    for number, place in ((2, "2-0"), (3, "999-9")):
        with valkey.client() as client:
            client.xadd(STREAM_KEY, {"event": b"no change"}, id=place)
        await sides.bus.publish(number, event(number))
        assert await sides.read(number - 1) == [(number, event(number))]
    with valkey.client() as client:  # the place is taken, and nothing stands there
        client.xdel(STREAM_KEY, client.xadd(STREAM_KEY, {"event": b"no change"}, id="4-0"))
    await sides.bus.publish(4, event(4))
    assert await sides.read(3) == [(4, event(4))]
    with valkey.client() as client:
        client.xadd(STREAM_KEY, {"event": b"no change"}, id="5-0")
    await sides.bus.heartbeat(A, 4)
    assert await sides.read(4) == [], "the heartbeat cuts what stands above it"


async def test_a_server_that_is_gone_is_said_so_by_both_sides_and_found_again(
    own_valkey: ValkeyServer,
) -> None:
    sides = sides_of(own_valkey.url)
    await sides.bus.publish(1, event(1))
    assert await sides.read(0) == [(1, event(1))]
    own_valkey.process.kill()
    with pytest.raises(BusError, match="cannot be reached"):
        await sides.bus.publish(2, event(2))
    with pytest.raises(BusUnavailable, match="cannot be reached"):
        await sides.read(1)
    own_valkey.start()
    await sides.bus.publish(2, event(2))
    assert await sides.read(1) == [(2, event(2))]
    await sides.aclose()


async def test_a_server_that_hangs_times_out_on_both_sides(own_valkey: ValkeyServer) -> None:
    target = parse_redis_url(own_valkey.url)
    bus = RedisBus(connect(target, command_seconds=0.3), FEED_KEYS, unix_now)
    reader = RedisBusReader(
        connect(target, command_seconds=0.6),
        FEED_KEYS,
        Forgeries(time.monotonic),
        monotonic=time.monotonic,
        clock=unix_now,
    )
    await bus.publish(1, event(1))
    await reader.read(Position(A, 0), 0.1)
    own_valkey.process.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(GENEROUS_SECONDS):
            with pytest.raises(BusError, match="in time"):
                await bus.publish(2, event(2))
            with pytest.raises(BusUnavailable, match="in time"):
                await reader.read(Position(A, 1), 0.1)
    finally:
        own_valkey.process.signal(signal.SIGCONT)
    # Whether it was taken is unknown, so it is offered again.
    await bus.publish(2, event(2))
    assert (await reader.read(Position(A, 1), 0.1)).entries == ((2, event(2)),)
    await bus.aclose()
    await reader.aclose()


async def test_a_reader_that_is_cancelled_while_it_waits_can_read_again(sides: Sides) -> None:
    for _ in range(3):
        reading = asyncio.gather(sides.read(0, GENEROUS_SECONDS))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await sides.bus.publish(1, event(1))
    assert await sides.read(0) == [(1, event(1))]
