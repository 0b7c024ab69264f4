"""The Redis bus, write side: the stream of changes, its heartbeat, and the copy of the snapshot.

Explicit ids make a repeat harmless and a gap visible. The heartbeat is a stream of its own with one entry,
so that quiet hours do not push changes out of the bounded one; a reader blocks on both with one command.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.control_plane.bus.port import BusAhead, BusError
from shared.config_feed import (
    EVENT_FIELD,
    HEARTBEAT_FIELD,
    HEARTBEAT_KEY,
    HEARTBEAT_SECONDS,
    SNAPSHOT_KEY,
    STREAM_KEY,
    Event,
    FeedError,
    Heartbeat,
    decode_event,
    encode_heartbeat,
    snapshot_etag,
)
from shared.redis_link import FAILURES, close, why

MAX_STREAM_ENTRIES: Final = 10_000
_SNAPSHOT_TAG_KEY: Final = f"{SNAPSHOT_KEY}:tag"
"""Which revision the copy is of, where the writer may read it: its user has no right to read hashes."""
_HEARTBEAT_TURN_KEY: Final = f"{HEARTBEAT_KEY}:turn"
_HEARTBEAT_TURN_MILLISECONDS: Final = int(HEARTBEAT_SECONDS * 1000 * 0.75)
# What Redis and Valkey answer to an explicit id that is not above the stream's last one.
_ID_TAKEN: Final = "equal or smaller"

_NOTHING: Final[tuple[bytes, dict[bytes, bytes]]] = (b"0-0", {})

_log = logging.getLogger(__name__)


class RedisBus:
    """A `Bus` on a Redis stream that keeps about `max_entries`."""

    def __init__(self, client: Redis, *, max_entries: int = MAX_STREAM_ENTRIES) -> None:
        self._client = client
        self._max_entries = max_entries

    async def publish(self, revision: int, event: bytes) -> None:
        """See `Bus`.

        A stream that holds at this place what is no change of this epoch is of another life of the
        database, or of nobody: it is begun anew, and the next heartbeat sends every reader to a snapshot.
        """
        try:
            if not await self._append(revision, event) and not await self._holds(revision, event):
                await self._begin_anew(revision, event)
        except FAILURES as error:
            raise BusError(why(error)) from None

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """See `Bus`. Of several processes that beat at once, one per period gets through."""
        beat = encode_heartbeat(Heartbeat(epoch, revision))
        try:
            await self._look_at_the_end(epoch, revision)
            if await self._takes_turn(beat):
                await self._client.xadd(HEARTBEAT_KEY, {HEARTBEAT_FIELD: beat}, maxlen=1, approximate=False)
        except FAILURES as error:
            raise BusError(why(error)) from None

    async def has_snapshot(self, epoch: str, revision: int) -> bool:
        """See `Bus`. Asked each time: Redis may have been flushed, or restored from long ago."""
        try:
            found: Any = await self._client.get(_SNAPSHOT_TAG_KEY)
        except FAILURES as error:
            raise BusError(why(error)) from None
        return bool(found == snapshot_etag(epoch, revision).encode())

    async def keep_snapshot(self, etag: str, body: bytes) -> None:
        """See `Bus`."""
        try:
            await self._client.hset(SNAPSHOT_KEY, mapping={"etag": etag, "body": body})
            await self._client.set(_SNAPSHOT_TAG_KEY, etag)
        except FAILURES as error:
            raise BusError(why(error)) from None

    async def aclose(self) -> None:
        """See `Bus`."""
        await close(self._client)

    async def _takes_turn(self, beat: bytes) -> bool:
        """Whether nobody has sent this very beat lately; one that says something else is news."""
        turn, life = _HEARTBEAT_TURN_KEY, _HEARTBEAT_TURN_MILLISECONDS
        if await self._client.set(turn, beat, px=life, nx=True):
            return True
        if await self._client.get(turn) == beat:
            return False
        await self._client.set(turn, beat, px=life)
        return True

    async def _append(self, revision: int, event: bytes) -> bool:
        """Add the entry; False when the stream already is at its place or past it."""
        try:
            await self._client.xadd(
                STREAM_KEY,
                {EVENT_FIELD: event},
                id=_id_of(revision),
                maxlen=self._max_entries,
                approximate=True,
            )
        except ResponseError as error:
            if _ID_TAKEN not in str(error):
                raise
            return False
        return True

    async def _holds(self, revision: int, event: bytes) -> bool:
        """Whether the stream has this event, or had it and trimmed it since.

        Raises:
            BusAhead: it has another one of the same epoch there.
        """
        place = _id_of(revision)
        here: Any = await self._client.xrange(STREAM_KEY, place, place)
        found = _event_in((here or await self._client.xrevrange(STREAM_KEY, count=1) or [_NOTHING])[0])
        if found == event:
            return True
        other, ours = _decoded(found), decode_event(event)
        if other is None or other.epoch != ours.epoch:
            return False
        if other.revision == revision:
            raise BusAhead(ours.epoch, revision, contradicts=True)
        return not here and other.revision > revision

    async def _look_at_the_end(self, epoch: str, revision: int) -> None:
        """Find out whether the stream ends where it must; what stands above is no change, or was lost."""
        newest: Any = await self._client.xrevrange(STREAM_KEY, count=1)
        if not newest or _revision_of(newest[0][0]) <= revision:
            return
        found = _decoded(_event_in(newest[0]))
        if found is not None and found.epoch == epoch and found.revision > revision:
            raise BusAhead(epoch, found.revision, contradicts=False)
        _log.error(
            "the stream in Redis goes on above revision %d with what is no change; it is cut", revision
        )
        await self._client.delete(STREAM_KEY)

    async def _begin_anew(self, revision: int, event: bytes) -> None:
        _log.error("the stream in Redis is of another life of the database; it begins anew at %d", revision)
        async with self._client.pipeline(transaction=True) as both:
            both.delete(STREAM_KEY)
            both.xadd(STREAM_KEY, {EVENT_FIELD: event}, id=_id_of(revision))
            await both.execute()


def _id_of(revision: int) -> str:
    return f"{revision}-0"


def _event_in(entry: Any) -> bytes:
    event: bytes = entry[1].get(EVENT_FIELD.encode(), b"")
    return event


def _decoded(event: bytes) -> Event | None:
    try:
        return decode_event(event)
    except FeedError:
        return None


def _revision_of(place: bytes) -> int:
    return int(place.partition(b"-")[0])
