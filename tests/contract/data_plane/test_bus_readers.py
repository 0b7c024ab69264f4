"""What every event bus must do for its readers: `XREAD` by revision."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from services.data_plane.table.feed import BusReader, BusUnavailable, MemoryBusReader, NoBusReader
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import COMMAND_SECONDS_OF_A_READER, RedisBusReader
from shared.clock import unix_now
from shared.config_feed import EVENT_FIELD, STREAM_KEY
from shared.memory_stream import MemoryStream
from shared.redis_link import connect, parse_redis_url
from tests.support.feed_keys import FEED_KEYS, signed
from tests.support.servers.valkey import ValkeyServer


@dataclass
class Bus:
    """A bus and the other side's way of writing to it."""

    reader: BusReader
    append: Callable[[int, bytes], bool]


def memory_bus() -> Bus:
    stream = MemoryStream(max_entries=5)
    return Bus(MemoryBusReader(stream), stream.append)


def redis_bus(server: ValkeyServer) -> Bus:
    client = connect(parse_redis_url(server.url), command_seconds=COMMAND_SECONDS_OF_A_READER)
    writer = server.client()

    def append(revision: int, data: bytes) -> bool:
        writer.xadd(
            STREAM_KEY, {EVENT_FIELD: signed(revision, data)}, id=f"{revision}-0", maxlen=5, approximate=False
        )
        return True

    return Bus(
        RedisBusReader(
            client, FEED_KEYS, Forgeries(time.monotonic), monotonic=time.monotonic, clock=unix_now
        ),
        append,
    )


@pytest.fixture(params=["memory", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    made = memory_bus() if request.param == "memory" else redis_bus(request.getfixturevalue("valkey"))
    yield made
    await made.reader.aclose()


def at(revision: int) -> Position:
    return Position("epoch-1", revision)


async def test_entries_above_a_revision_come_in_order(bus: Bus) -> None:
    for revision in (1, 2, 3):
        bus.append(revision, b"%d" % revision)
    assert (await bus.reader.read(at(1), 0.01)).entries == ((2, b"2"), (3, b"3"))


async def test_a_quiet_bus_gives_nothing_after_a_while(bus: Bus) -> None:
    assert (await bus.reader.read(at(0), 0.01)).entries == ()


async def test_a_waiting_reader_wakes_at_the_next_entry(bus: Bus) -> None:
    reading = asyncio.gather(bus.reader.read(at(0), 30))
    await asyncio.sleep(0)
    bus.append(1, b"1")
    assert (await reading)[0].entries == ((1, b"1"),)


async def test_trimmed_entries_leave_a_gap_that_can_be_seen(bus: Bus) -> None:
    for revision in range(1, 11):
        bus.append(revision, b"")
    assert [revision for revision, _ in (await bus.reader.read(at(1), 0.01)).entries] == [6, 7, 8, 9, 10]


async def test_a_bus_of_another_process_says_that_it_cannot_be_read() -> None:
    with pytest.raises(BusUnavailable, match="memory://"):
        await NoBusReader().read(at(0), 0.01)


async def test_a_quiet_stream_of_the_same_process_is_a_beat_by_itself() -> None:
    stream = MemoryStream()
    reader = MemoryBusReader(stream)
    assert (await reader.read(at(0), 0.01)).beat == at(0)
    stream.append(1, b"1")
    assert (await reader.read(at(0), 0.01)).beat is None
