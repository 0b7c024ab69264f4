"""The two sides of the Redis bus on a real server: what a reader hears after whatever happened to Redis."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.control_plane.bus.port import BusAhead, BusError
from services.control_plane.bus.redis import RedisBus
from services.data_plane.table.feed import BusUnavailable, Heard, SnapshotUnavailable
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import (
    COMMAND_SECONDS_OF_A_READER,
    RedisBusReader,
    RedisSnapshotCopy,
    SnapshotOrCopy,
)
from shared.config_feed import (
    HEARTBEAT_KEY,
    STREAM_KEY,
    Event,
    IntegrationRow,
    Snapshot,
    encode_event,
    encode_snapshot,
    snapshot_etag,
)
from shared.redis_link import connect, parse_redis_url
from shared.secret import Secret
from tests.support.config_truth import FakeSnapshotSource, Truth, row
from tests.support.servers.tools import REPOSITORY
from tests.support.servers.valkey import SentinelServer, ValkeyServer
from tests.support.tls_front import tls_front

GENEROUS_SECONDS = 30
A = "epoch-a"
B = "epoch-b"


def event(revision: int, epoch: str = A) -> bytes:
    changed = IntegrationRow("acme", "openai", enabled=True, secret_version=revision)
    return encode_event(Event(epoch, revision, "put_integration", integration=changed))


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Sides:
    """A writer and a reader of one Redis; the reader's clock stands still unless a test moves it."""

    bus: RedisBus
    reader: RedisBusReader
    clock: Clock = field(default_factory=Clock)

    async def hear(self, after: int, block_seconds: float = 0.05) -> Heard:
        async with asyncio.timeout(GENEROUS_SECONDS):
            return await self.reader.read(Position(A, after), block_seconds)

    async def read(self, after: int, block_seconds: float = 0.05) -> list[tuple[int, bytes]]:
        return list((await self.hear(after, block_seconds)).entries)

    async def aclose(self) -> None:
        await self.bus.aclose()
        await self.reader.aclose()


def sides_of(url: str, *, max_entries: int = 10_000, password: Secret | None = None) -> Sides:
    target = parse_redis_url(url)
    clock = Clock()
    reading = connect(target, password=password, command_seconds=COMMAND_SECONDS_OF_A_READER)
    writing = RedisBus(connect(target, password=password), max_entries=max_entries)
    return Sides(writing, RedisBusReader(reading, monotonic=clock), clock)


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
    assert await sides.hear(0) == Heard(((1, event(1)),))
    await sides.bus.heartbeat(A, 1)
    assert await sides.hear(1) == Heard(beat=Position(A, 1))
    assert await sides.hear(1) == Heard()


async def test_the_first_beat_that_a_reader_hears_tells_the_epoch_as_well(sides: Sides) -> None:
    await sides.bus.heartbeat(B, 5)
    assert await sides.hear(5) == Heard(beat=Position(B, 5))


async def test_events_and_the_heartbeat_after_them_come_as_events_only(sides: Sides) -> None:
    for revision in (1, 2):
        await sides.bus.publish(revision, event(revision))
    await sides.bus.heartbeat(A, 2)
    assert await sides.hear(0) == Heard(((1, event(1)), (2, event(2))))


async def test_a_waiting_reader_wakes_at_a_heartbeat(sides: Sides) -> None:
    reading = asyncio.gather(sides.hear(1, GENEROUS_SECONDS))
    await asyncio.sleep(0.05)
    await sides.bus.heartbeat(A, 2)
    assert (await reading)[0].beat == Position(A, 2)


async def test_a_beat_that_is_none_is_passed_over(sides: Sides, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.xadd(HEARTBEAT_KEY, {"beat": b"garbage"})
    assert await sides.hear(1) == Heard()


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
    assert await sides.hear(0) == Heard(beat=Position(A, 0))
    assert await sides.hear(0) == Heard()


async def test_a_beat_that_was_heard_before_does_not_end_the_silence(sides: Sides) -> None:
    await sides.bus.heartbeat(A, 0)
    assert await sides.hear(0) == Heard(beat=Position(A, 0))
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
    heard = await sides.hear(3)
    ahead = tuple((number, event(number, B)) for number in (revision + 1,) if number > 3)
    told = Heard(ahead) if ahead else Heard(beat=Position(B, revision + 1))
    assert heard == told, "a reader of the life before is told, whatever its revision"


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
    bus = RedisBus(connect(target, command_seconds=0.3))
    reader = RedisBusReader(connect(target, command_seconds=0.6), monotonic=time.monotonic)
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


# -- the copy of the snapshot


def truth(revision: int, epoch: str = A) -> Snapshot:
    return Snapshot(epoch, revision, (row(),), (), ())


def copy_of(snapshot: Snapshot) -> tuple[str, bytes]:
    return snapshot_etag(snapshot.epoch, snapshot.revision), encode_snapshot(snapshot)


@pytest.fixture
async def copy(valkey: ValkeyServer) -> AsyncIterator[RedisSnapshotCopy]:
    made = RedisSnapshotCopy(connect(parse_redis_url(valkey.url)))
    yield made
    await made.aclose()


async def test_the_copy_is_read_back_once_for_each_revision(sides: Sides, copy: RedisSnapshotCopy) -> None:
    with pytest.raises(SnapshotUnavailable, match="no copy"):
        await copy.fetch(None)
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await copy.fetch(None) == truth(7)
    assert await copy.fetch(Position(A, 7)) is None
    assert await copy.fetch(Position(A, 6)) == truth(7)


async def test_a_copy_that_was_flushed_is_known_to_be_gone(sides: Sides, valkey: ValkeyServer) -> None:
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await sides.bus.has_snapshot(A, 7)
    assert not await sides.bus.has_snapshot(A, 8)
    assert not await sides.bus.has_snapshot(B, 7)
    with valkey.client() as client:
        client.flushall()
    assert not await sides.bus.has_snapshot(A, 7)


async def test_a_copy_that_is_too_large_or_damaged_is_refused(
    sides: Sides, copy: RedisSnapshotCopy, valkey: ValkeyServer
) -> None:
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    small = RedisSnapshotCopy(connect(parse_redis_url(valkey.url)), max_bytes=10)
    with pytest.raises(SnapshotUnavailable, match="larger"):
        await small.fetch(None)
    await small.aclose()
    with valkey.client() as client:
        client.hset("aigw:snapshot", "body", b"{}")
    with pytest.raises(SnapshotUnavailable, match="not a snapshot"):
        await copy.fetch(None)


async def test_the_copy_serves_only_who_has_less_while_the_control_plane_is_down(
    sides: Sides, copy: RedisSnapshotCopy
) -> None:
    control_plane = FakeSnapshotSource(Truth())
    both = SnapshotOrCopy(control_plane, copy)
    await sides.bus.keep_snapshot(*copy_of(truth(7)))
    assert await both.fetch(None) == control_plane.truth.now
    control_plane.down = True
    assert await both.fetch(None) == truth(7)
    assert await both.fetch(Position(A, 6)) == truth(7)
    for known in (Position(A, 7), Position(A, 8), Position(B, 1)):
        with pytest.raises(SnapshotUnavailable, match="the test said so"):
            await both.fetch(known)


# -- the ways to Redis


def users() -> str:
    text = (REPOSITORY / "deploy/redis/users.acl").read_text()
    lines = text.replace("CONTROL_PLANE_PASSWORD", "cp-password").replace(
        "DATA_PLANE_PASSWORD", "dp-password"
    )
    # A test must be able to look behind the users' backs.
    return re.sub(r"^user default off$", "user default on nopass ~* +@all", lines, flags=re.MULTILINE)


async def test_each_plane_can_do_its_part_as_the_user_of_the_example_and_no_more() -> None:
    with ValkeyServer(acl=users()) as server:
        writing = f"redis://aigw-control-plane@127.0.0.1:{server.port}"
        reading = f"redis://aigw-data-plane@127.0.0.1:{server.port}"
        writer = sides_of(writing, password=Secret("cp-password"))
        reader = sides_of(reading, password=Secret("dp-password"))
        await writer.bus.publish(5, event(5))
        await writer.bus.publish(5, event(5))
        await writer.bus.publish(1, event(1, B))
        for number in (1, 2):
            await writer.bus.heartbeat(B, number)
            await writer.bus.heartbeat(B, number)
        await writer.bus.keep_snapshot(*copy_of(truth(7)))
        assert await reader.read(0) == [(1, event(1, B))]
        copy = RedisSnapshotCopy(connect(parse_redis_url(reading), password=Secret("dp-password")))
        assert await copy.fetch(None) == truth(7)
        with pytest.raises(BusError, match="does not allow"):
            await reader.bus.publish(2, event(2))
        with pytest.raises(BusError, match="does not allow"):
            await reader.bus.keep_snapshot(*copy_of(truth(8)))
        with pytest.raises(BusUnavailable, match="does not allow"):
            await writer.read(0)
        for used in (writer, reader, copy):
            await used.aclose()


async def test_a_wrong_password_is_said_so_and_not_shown() -> None:
    with ValkeyServer(acl=users()) as server:
        url = f"redis://aigw-data-plane@127.0.0.1:{server.port}"
        sides = sides_of(url, password=Secret("canary-password"))
        with pytest.raises(BusUnavailable, match="user name or password") as caught:
            await sides.read(0)
        assert "canary" not in str(caught.value)
        await sides.aclose()


async def test_tls_is_verified(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with tls_front(tmp_path, valkey.port) as front:
        trusting = sides_of(f"rediss://127.0.0.1:{front.port}?ca_file={front.ca_file}")
        await trusting.bus.publish(1, event(1))
        assert await trusting.read(0) == [(1, event(1))]
        doubting = sides_of(f"rediss://127.0.0.1:{front.port}")
        with pytest.raises(BusUnavailable, match="cannot be reached"):
            await doubting.read(0)
        for used in (trusting, doubting):
            await used.aclose()


async def test_sentinels_tell_where_the_server_is(valkey: ValkeyServer) -> None:
    with SentinelServer(valkey) as sentinel:
        sides = sides_of(sentinel.url)
        await sides.bus.publish(1, event(1))
        assert await sides.read(0) == [(1, event(1))]
        await sides.aclose()
    with valkey.client() as client:
        assert client.xlen(STREAM_KEY) == 1
