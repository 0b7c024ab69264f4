"""A writer and a reader of the same Redis, for tests of the effects of each on the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis

from services.control_plane.bus.redis import RedisBus
from services.data_plane.table.feed import BusRead
from services.data_plane.table.forgeries import Forgeries
from services.data_plane.table.position import Position
from services.data_plane.table.redis_feed import (
    COMMAND_SECONDS_OF_A_READER,
    RedisBusReader,
    RedisSnapshotCopy,
)
from shared.clock import unix_now
from shared.config_feed import (
    Event,
    IntegrationRow,
    Snapshot,
    encode_event,
    encode_snapshot,
)
from shared.redis_link import connect, parse_redis_url
from shared.secret import Secret
from tests.support.config_truth import row
from tests.support.feed_keys import FEED_KEYS
from tests.support.servers.valkey import ValkeyServer

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
    """A writer and a reader of the same Redis; the reader's clock stands still unless moved by a test."""

    bus: RedisBus
    reader: RedisBusReader
    forgeries: Forgeries
    clock: Clock = field(default_factory=Clock)

    async def hear(self, after: int, block_seconds: float = 0.05) -> BusRead:
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
    writing = RedisBus(connect(target, password=password), FEED_KEYS, unix_now, max_entries=max_entries)
    forgeries = Forgeries(time.monotonic)
    reader = RedisBusReader(reading, FEED_KEYS, forgeries, monotonic=clock, clock=unix_now)
    return Sides(writing, reader, forgeries, clock)


def truth(revision: int, epoch: str = A) -> Snapshot:
    return Snapshot(epoch, revision, (row(),), (), ())


def copy_of(snapshot: Snapshot) -> tuple[str, int, bytes]:
    return snapshot.epoch, snapshot.revision, encode_snapshot(snapshot)


def copy_in(
    valkey: ValkeyServer,
    *,
    client: Redis | None = None,
    max_bytes: int = 10_000,
    now: Callable[[], float] | None = None,
) -> RedisSnapshotCopy:
    return RedisSnapshotCopy(
        client or connect(parse_redis_url(valkey.url)),
        FEED_KEYS,
        Forgeries(time.monotonic),
        clock=now or unix_now,
        max_age_seconds=3_600,
        max_bytes=max_bytes,
    )
