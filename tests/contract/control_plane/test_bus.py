"""What every bus's write side does, run against each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from services.control_plane.bus.memory import MemoryBus
from services.control_plane.bus.port import Bus
from services.control_plane.bus.redis import RedisBus
from shared.clock import unix_now
from shared.config_feed import (
    EVENT_FIELD,
    STREAM_KEY,
    Event,
    IntegrationRow,
    Snapshot,
    encode_event,
    encode_snapshot,
)
from shared.memory_stream import MemoryStream
from shared.redis_link import connect, parse_redis_url
from tests.support.feed_keys import FEED_KEYS
from tests.support.servers.valkey import ValkeyServer

Entries = list[tuple[int, bytes]]


@dataclass
class Side:
    """A bus, and what lies on it."""

    bus: Bus
    entries: Callable[[], Awaitable[Entries]]


def memory_side() -> Side:
    stream = MemoryStream()

    async def entries() -> Entries:
        return await stream.read(0, 0.01)

    return Side(MemoryBus(stream), entries)


def redis_side(server: ValkeyServer) -> Side:
    async def entries() -> Entries:
        with server.client() as client:
            found = client.xrange(STREAM_KEY)
        places = [(int(place.partition(b"-")[0]), fields[EVENT_FIELD.encode()]) for place, fields in found]
        return [(revision, FEED_KEYS.open("event", data, place=revision)) for revision, data in places]

    return Side(RedisBus(connect(parse_redis_url(server.url)), FEED_KEYS, unix_now), entries)


@pytest.fixture(params=["memory", "redis"])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    made = memory_side() if request.param == "memory" else redis_side(request.getfixturevalue("valkey"))
    yield made
    await made.bus.aclose()


def event(revision: int) -> bytes:
    row = IntegrationRow("acme", "openai", enabled=True, secret_version=revision)
    return encode_event(Event("epoch-1", revision, "put_integration", integration=row))


async def test_events_arrive_in_order_under_their_revisions_and_a_repeat_is_dropped(side: Side) -> None:
    for revision in (1, 2, 2, 1, 3):
        await side.bus.publish(revision, event(revision))
    assert await side.entries() == [(revision, event(revision)) for revision in (1, 2, 3)]


async def test_a_heartbeat_and_a_copy_of_the_snapshot_are_no_entries(side: Side) -> None:
    await side.bus.publish(1, event(1))
    for _ in range(3):
        await side.bus.heartbeat("epoch-1", 1)
        await side.bus.keep_snapshot("epoch-1", 1, encode_snapshot(Snapshot("epoch-1", 1, (), (), ())))
    assert await side.bus.confirm_snapshot("epoch-1", 1)
    assert [revision for revision, _ in await side.entries()] == [1]
