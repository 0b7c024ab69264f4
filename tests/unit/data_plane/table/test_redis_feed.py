"""How long the reader of the Redis bus lets itself be blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from services.data_plane.table.feed import BusUnavailable, SnapshotUnavailable
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import (
    MAX_BLOCK_SECONDS,
    SILENCE_SECONDS,
    RedisBusReader,
    RedisSnapshotCopy,
)
from shared.config_feed import HEARTBEAT_SECONDS
from tests.support.feed_keys import FEED_KEYS

HERE = Position("epoch-1", 0)


def reader_of(client: Redis, monotonic: Callable[[], float]) -> RedisBusReader:
    forgeries = Forgeries(monotonic)
    return RedisBusReader(client, FEED_KEYS, forgeries, monotonic=monotonic, clock=lambda: 1.0)


class QuietRedis:
    """Answers every `XREAD` with nothing, after the requested time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.blocks: list[float] = []
        self.connection_pool = self

    async def disconnect(self) -> None:
        """Nothing is held."""

    async def xread(self, streams: Any, count: int, block: int) -> list[Any]:  # noqa: ARG002  # redis-py's
        self.blocks.append(block / 1000)
        self.now += block / 1000
        return []


async def test_silence_is_noticed_as_soon_as_it_is_too_long() -> None:
    redis = QuietRedis()
    reader = reader_of(cast("Redis", redis), lambda: redis.now)
    with pytest.raises(BusUnavailable):  # noqa: PT012  # the reads before it must not raise
        while True:
            await reader.read(HERE, 60)
            assert len(redis.blocks) < 10
    assert sum(redis.blocks) == pytest.approx(SILENCE_SECONDS)
    assert max(redis.blocks) <= MAX_BLOCK_SECONDS


class ClosedRedis:
    """A connection that ended just before the command, as told by uvloop."""

    async def fail(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    xread = hget = fail


async def test_a_write_to_a_connection_that_has_just_ended_is_a_redis_that_cannot_be_reached() -> None:
    client = cast("Redis", ClosedRedis())
    with pytest.raises(BusUnavailable, match="cannot be reached"):
        await reader_of(client, lambda: 1.0).read(HERE, 1)
    with pytest.raises(SnapshotUnavailable, match="cannot be reached"):
        await RedisSnapshotCopy(
            client, FEED_KEYS, Forgeries(lambda: 1.0), clock=lambda: 1.0, max_age_seconds=60
        ).fetch(None)


def test_a_healthy_bus_always_answers_before_a_read_gives_up() -> None:
    assert HEARTBEAT_SECONDS < MAX_BLOCK_SECONDS
