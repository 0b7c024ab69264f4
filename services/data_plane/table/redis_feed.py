"""The Redis bus, read side: the stream with its heartbeat, and the copy of the snapshot that lies beside it.

Reads and decodes; what is done with it is decided in `sync`. The user that it runs as can only read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.table.feed import BusUnavailable, Heard, SnapshotUnavailable
from services.data_plane.table.position import Position
from shared.config_feed import (
    EVENT_FIELD,
    HEARTBEAT_FIELD,
    HEARTBEAT_KEY,
    HEARTBEAT_SECONDS,
    MAX_SNAPSHOT_BYTES,
    SNAPSHOT_KEY,
    STREAM_KEY,
    FeedError,
    Snapshot,
    decode_heartbeat,
    decode_snapshot,
    snapshot_etag,
)
from shared.redis_link import FAILURES, close, why

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from services.data_plane.table.feed import SnapshotSource

logger = logging.getLogger(__name__)

MAX_BLOCK_SECONDS: Final = 3.0
"""Longer than the pause between two heartbeats, so that a healthy bus answers before."""
LATE_SECONDS: Final = 2.0
COMMAND_SECONDS_OF_A_READER: Final = MAX_BLOCK_SECONDS + LATE_SECONDS
"""A blocked `XREAD` is silent for as long as it blocks; the client's time-out must be longer."""
SILENCE_SECONDS: Final = 3 * HEARTBEAT_SECONDS
"""How long a Redis that answers may tell nothing new before it is not to be relied on."""
MAX_ENTRIES_PER_READ: Final = 1_000

_BEGINNING: Final = "0"
_Entries = list[tuple[bytes, dict[bytes, bytes]]]
"""What redis-py makes of one stream in an answer: (id, fields) of each entry."""


class RedisBusReader:
    """A `BusReader`. `client` must wait `COMMAND_SECONDS_OF_A_READER` for an answer.

    Silence of the writer for `silence_seconds` (by `monotonic`) means that the bus is not to be relied on.
    """

    def __init__(
        self, client: Redis, *, monotonic: Callable[[], float], silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._silence_seconds = silence_seconds
        self._heard_at = monotonic()
        self._beat_place = _BEGINNING
        self._newest_beat = ""

    async def read(self, here: Position, block_seconds: float) -> Heard:
        """See `BusReader.read`."""
        places: dict[Any, Any] = {STREAM_KEY: f"{here.revision}-0", HEARTBEAT_KEY: self._beat_place}
        # No longer than until the silence is too long. At least 1: for Redis, 0 means for ever.
        patience = self._silence_seconds - (self._monotonic() - self._heard_at)
        block = max(1, int(min(block_seconds, MAX_BLOCK_SECONDS, patience) * 1000))
        try:
            reply: Any = await self._client.xread(places, count=MAX_ENTRIES_PER_READ, block=block) or []
        except FAILURES as error:
            self._beat_place = _BEGINNING
            raise BusUnavailable(why(error)) from None
        heard = self._heard({key.decode(): entries for key, entries in reply})
        if heard == Heard():
            self._check_silence()
        else:
            self._heard_at = self._monotonic()
        return heard

    async def aclose(self) -> None:
        """See `BusReader.aclose`."""
        await close(self._client)

    def _check_silence(self) -> None:
        if self._monotonic() - self._heard_at >= self._silence_seconds:
            # A failover may have set the clock back that numbers the beats: begin with the newest again.
            self._beat_place = _BEGINNING
            raise BusUnavailable(f"nothing was heard of the control plane for {self._silence_seconds:g} s")

    def _heard(self, reply: dict[str, _Entries]) -> Heard:
        entries = tuple(
            (_revision_of(place), fields.get(EVENT_FIELD.encode(), b""))
            for place, fields in reply.get(STREAM_KEY, [])
        )
        beat = None
        for place, fields in reply.get(HEARTBEAT_KEY, [])[-1:]:
            self._beat_place = place.decode()
            if self._beat_place != self._newest_beat:
                # One that was heard before, because reading began anew, tells nothing of who writes.
                beat = _beat_of(fields.get(HEARTBEAT_FIELD.encode(), b""))
            self._newest_beat = self._beat_place
        # Both streams are read at one moment, so with entries here the beat may only be older than they.
        return Heard(entries, beat=None if entries else beat)


class RedisSnapshotCopy:
    """A `SnapshotSource`: the copy of the snapshot that the control plane keeps in Redis."""

    def __init__(self, client: Redis, *, max_bytes: int = MAX_SNAPSHOT_BYTES) -> None:
        self._client = client
        self._max_bytes = max_bytes

    async def fetch(self, known: Position | None) -> Snapshot | None:
        """See `SnapshotSource.fetch`."""
        try:
            etag = await self._client.hget(SNAPSHOT_KEY, "etag")
            if etag is None:
                raise SnapshotUnavailable("Redis holds no copy of the snapshot")
            if known is not None and etag == snapshot_etag(known.epoch, known.revision).encode():
                return None
            if await self._client.hstrlen(SNAPSHOT_KEY, "body") > self._max_bytes:
                raise SnapshotUnavailable(f"the copy in Redis is larger than {self._max_bytes} bytes")
            body: Any = await self._client.hget(SNAPSHOT_KEY, "body")
            # In a thread: a large snapshot takes longer to decode than a request should wait.
            return await asyncio.to_thread(decode_snapshot, body or b"")
        except FAILURES as error:
            raise SnapshotUnavailable(why(error)) from None
        except FeedError as error:
            raise SnapshotUnavailable(f"the copy in Redis is {error}") from None

    async def aclose(self) -> None:
        """See `SnapshotSource.aclose`."""
        await close(self._client)


class SnapshotOrCopy:
    """A `SnapshotSource`: the control plane, or while that does not answer the copy, where it tells more.

    A copy proves nothing about now: only a newer one of the same epoch is used, or any by a process that has
    none yet; else it would count as word from the control plane.
    """

    def __init__(self, control_plane: SnapshotSource, copy: SnapshotSource) -> None:
        self._control_plane = control_plane
        self._copy = copy

    async def fetch(self, known: Position | None) -> Snapshot | None:
        """See `SnapshotSource.fetch`."""
        try:
            return await self._control_plane.fetch(known)
        except SnapshotUnavailable as error:
            try:
                copy = await self._copy.fetch(known)
            except SnapshotUnavailable as other:
                raise SnapshotUnavailable(f"{error}; {other}") from None
            if copy is None or (known and not _is_ahead(copy, known)):
                raise
            logger.warning("%s; the copy in Redis at revision %d is used", error, copy.revision)
            return copy

    async def aclose(self) -> None:
        """See `SnapshotSource.aclose`."""
        await self._control_plane.aclose()
        await self._copy.aclose()


def _is_ahead(copy: Snapshot, known: Position) -> bool:
    return copy.epoch == known.epoch and copy.revision > known.revision


def _revision_of(place: bytes) -> int:
    return int(place.partition(b"-")[0])


def _beat_of(data: bytes) -> Position | None:
    try:
        beat = decode_heartbeat(data)
    except FeedError as error:
        logger.warning("the heartbeat of the event bus is not one: %s", error)
        return None
    return Position(beat.epoch, beat.revision)
