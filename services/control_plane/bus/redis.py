"""The Redis bus, write side: the stream of changes, its heartbeat, and the copy of the snapshot, all signed.

Explicit ids make a repeat harmless and a gap visible. The heartbeat is a stream of its own with a single
entry, so quiet hours do not push changes out of the bounded stream; a reader blocks on both with the same
command. Any other writer to this Redis can delay a change, never make or swallow a change: unsigned entries
do not count, and are removed from a change's place.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from services.control_plane.bus.port import BusAhead, BusError
from shared.clock import Clock
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
    decode_heartbeat,
    encode_heartbeat,
    snapshot_etag,
)
from shared.feed_signature import FeedKeys
from shared.redis_link import FAILURES, close, leave, require_single, why

MAX_STREAM_ENTRIES: Final = 10_000
_SNAPSHOT_TAG_KEY: Final = f"{SNAPSHOT_KEY}:tag"
"""The revision of the copy, at a key readable by the writer: its user has no right to read hashes."""
_TOLD_SECONDS: Final = HEARTBEAT_SECONDS * 0.75
"""A younger beat of another process counts for this process too."""
# What Redis and Valkey answer to an explicit id that is not above the stream's last one.
_ID_TAKEN: Final = "equal or smaller"
_IN_THE_WAY: Final = ("WRONGTYPE", "exhausted")
"""Redis's answers for a key of another type, or a stream at its last possible id."""
_NOTHING: Final[tuple[bytes, dict[bytes, bytes]]] = (b"0-0", {})

_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class RedisBus:
    """A `Bus` on a Redis stream of about `max_entries`."""

    def __init__(
        self, client: Redis, keys: FeedKeys, clock: Clock, *, max_entries: int = MAX_STREAM_ENTRIES
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._max_entries = max_entries

    async def require_usable(self) -> None:
        """See `Bus`."""
        # Of nothing: neither key is ever written.
        await require_single(self._client, "DEL", f"{STREAM_KEY}:none", f"{HEARTBEAT_KEY}:none")

    async def publish(self, revision: int, event: bytes) -> None:
        """See `Bus`.

        An entry at this position that is no change of this epoch belongs to another life of the database, or
        was not written by a control plane: the stream is begun anew, and the next heartbeat sends every
        reader to a snapshot.
        """
        await self._guarded(lambda: self._publish(revision, event))

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """See `Bus`. Of several processes beating at once, a single beat per period gets through."""
        await self._guarded(lambda: self._heartbeat(epoch, revision))

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:
        """See `Bus`. Asked each time: Redis may have been flushed, or restored from long ago."""

        async def confirmed() -> bool:
            tag = await self._on(_SNAPSHOT_TAG_KEY, lambda: self._client.get(_SNAPSHOT_TAG_KEY))
            if tag != snapshot_etag(epoch, revision).encode():
                return False
            stamp = self._stamp(epoch, revision)
            await self._on(SNAPSHOT_KEY, lambda: self._client.hset(SNAPSHOT_KEY, "stamp", stamp))
            return True

        return await self._guarded(confirmed)

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """See `Bus`."""

        async def kept() -> None:
            etag = snapshot_etag(epoch, revision)
            signed: dict[Any, Any] = {
                "etag": etag,
                "stamp": self._stamp(epoch, revision),
                "body": self._keys.sign("snapshot", body),
            }
            await self._on(SNAPSHOT_KEY, lambda: self._client.hset(SNAPSHOT_KEY, mapping=signed))
            await self._client.set(_SNAPSHOT_TAG_KEY, etag)

        await self._guarded(kept)

    async def aclose(self) -> None:
        """See `Bus`."""
        await close(self._client)

    async def _guarded(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        try:
            return await work()
        except ReadOnlyError as error:
            # What was the primary is a replica now. Its connections stay, so they are given up here.
            await leave(self._client)
            raise BusError(why(error)) from None
        except FAILURES as error:
            raise BusError(why(error)) from None

    async def _on(self, key: str, command: Callable[[], Any]) -> Any:
        """Run a command on a key of the gateway's; foreign data in the place is removed first."""
        try:
            return await command()
        except ResponseError as error:
            if not any(reason in str(error) for reason in _IN_THE_WAY):
                raise
            _log.error("%s in Redis was written by somebody else; it is taken away", key)
            await self._client.delete(key)
            return await command()

    def _stamp(self, epoch: str, revision: int) -> bytes:
        return self._keys.sign("snapshot stamp", self._now(epoch, revision))

    def _now(self, epoch: str, revision: int) -> bytes:
        return encode_heartbeat(Heartbeat(epoch, revision, self._clock()))

    # -- the heartbeat

    async def _heartbeat(self, epoch: str, revision: int) -> None:
        await self._look_at_the_end(epoch, revision)
        if await self._is_told(epoch, revision):
            return
        beat: dict[Any, Any] = {HEARTBEAT_FIELD: self._keys.sign("heartbeat", self._now(epoch, revision))}
        await self._on(
            HEARTBEAT_KEY,
            lambda: self._client.xadd(HEARTBEAT_KEY, beat, maxlen=1, approximate=False),
        )

    async def _is_told(self, epoch: str, revision: int) -> bool:
        """Whether another process has sent this very beat lately; a different beat is news."""
        newest = await self._on(HEARTBEAT_KEY, lambda: self._client.xrevrange(HEARTBEAT_KEY, count=1))
        if not newest:
            return False
        try:
            signed = newest[0][1].get(HEARTBEAT_FIELD.encode(), b"")
            beat = decode_heartbeat(self._keys.open("heartbeat", signed))
        except FeedError:
            return False
        age = self._clock() - beat.at
        return (beat.epoch, beat.revision) == (epoch, revision) and 0 <= age < _TOLD_SECONDS

    async def _look_at_the_end(self, epoch: str, revision: int) -> None:
        """Check the end of the stream; entries above are forged, or prove lost commits."""
        newest = await self._on(STREAM_KEY, lambda: self._client.xrevrange(STREAM_KEY, count=1))
        if not newest or (at := _revision_of(newest[0][0])) < revision:
            return
        found = self._event_in(newest[0])
        if found is not None and found[1].epoch == epoch and at > revision:
            raise BusAhead(epoch, at, contradicts=False)
        if at > revision or newest[0][0] != _id_of(revision).encode():
            _log.error("the stream in Redis goes on without us above revision %d; it is cut", revision)
            await self._client.delete(STREAM_KEY)

    # -- the stream

    async def _publish(self, revision: int, event: bytes) -> None:
        signed = self._keys.sign("event", event, place=revision)
        if not await self._append(revision, signed) and not await self._holds(revision, event):
            await self._begin_anew(revision, signed)

    async def _append(self, revision: int, signed: bytes) -> bool:
        """Add the entry; False when the stream already is at the position or past it."""
        entry: dict[Any, Any] = {EVENT_FIELD: signed}
        try:
            await self._on(
                STREAM_KEY,
                lambda: self._client.xadd(
                    STREAM_KEY, entry, id=_id_of(revision), maxlen=self._max_entries, approximate=True
                ),
            )
        except ResponseError as error:
            if _ID_TAKEN not in str(error):
                raise
            return False
        return True

    async def _holds(self, revision: int, event: bytes) -> bool:
        """Whether the stream has this event, or had the event and trimmed the entry since.

        Raises:
            BusAhead: another event of the same epoch stands there.
        """
        place = _id_of(revision)
        here: Any = await self._client.xrange(STREAM_KEY, place, place)
        found = self._event_in((here or await self._client.xrevrange(STREAM_KEY, count=1) or [_NOTHING])[0])
        if found is None:
            return False
        payload, other = found
        if payload == event:
            return True
        if other.epoch != (ours := decode_event(event)).epoch:
            return False
        if other.revision == revision:
            raise BusAhead(ours.epoch, revision, contradicts=True)
        return not here and other.revision > revision

    async def _begin_anew(self, revision: int, signed: bytes) -> None:
        _log.error("the stream in Redis is no continuation of the database's; it begins anew at %d", revision)
        async with self._client.pipeline(transaction=True) as both:
            both.delete(STREAM_KEY)
            both.xadd(STREAM_KEY, {EVENT_FIELD: signed}, id=_id_of(revision))
            await both.execute()

    def _event_in(self, entry: Any) -> tuple[bytes, Event] | None:
        """Give the change in an entry, as bytes and read; None for a foreign entry."""
        place, fields = entry
        try:
            payload = self._keys.open(
                "event", fields.get(EVENT_FIELD.encode(), b""), place=_revision_of(place)
            )
            return payload, decode_event(payload)
        except FeedError:
            return None


def _id_of(revision: int) -> str:
    return f"{revision}-0"


def _revision_of(place: bytes) -> int:
    return int(place.partition(b"-")[0])
