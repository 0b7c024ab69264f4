"""The Redis bus, read side: the stream with its heartbeat, and the copy of the snapshot beside the stream.

Verifies and decodes; the decisions about the results are in `sync`. Its Redis user can only read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.table.feed import BusRead, BusUnavailable, SnapshotUnavailable
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
from shared.feed_signature import ForgedError
from shared.redis_link import FAILURES, close, leave, require_single, why

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from services.data_plane.table.feed import SnapshotSource
    from services.data_plane.table.forgeries import Forgeries
    from shared.clock import Clock
    from shared.feed_signature import FeedKeys

logger = logging.getLogger(__name__)

MAX_BLOCK_SECONDS: Final = 3.0
"""Longer than the pause between two heartbeats, so a healthy bus answers before."""
LATE_SECONDS: Final = 2.0
COMMAND_SECONDS_OF_A_READER: Final = MAX_BLOCK_SECONDS + LATE_SECONDS
"""A blocked `XREAD` is silent for its whole block; the client's time-out must be longer."""
SILENCE_SECONDS: Final = 3 * HEARTBEAT_SECONDS
"""The longest silence of an answering Redis before the bus counts as unreliable."""
MAX_ENTRIES_PER_READ: Final = 1_000
MAX_BEAT_AGE_SECONDS: Final = 30.0
"""How far the clocks of two machines may be apart; an older beat was kept and is being replayed."""
PAUSE_AFTER_FORGERIES_SECONDS: Final = 0.05

_BEGINNING: Final = "0"
_Entries = list[tuple[bytes, dict[bytes, bytes]]]
"""redis-py's form of a stream in an answer: (id, fields) of each entry."""


class RedisBusReader:
    """A `BusReader`. `client` must wait `COMMAND_SECONDS_OF_A_READER` for an answer.

    Silence of the writer for `silence_seconds` (by `monotonic`) makes the bus unreliable. Entries without a
    control plane's signature are noted in `forgeries` and passed over as absent.
    """

    def __init__(
        self,
        client: Redis,
        keys: FeedKeys,
        forgeries: Forgeries,
        *,
        monotonic: Callable[[], float],
        clock: Clock,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._client = client
        self._keys = keys
        self._forgeries = forgeries
        self._monotonic = monotonic
        self._clock = clock
        self._silence_seconds = silence_seconds
        self._heard_at = monotonic()
        self._beat_place = _BEGINNING
        self._newest_beat_at = 0.0
        self._is_untimely = False
        self._passed: tuple[Position, str] | None = None

    async def require_usable(self) -> None:
        """See `BusReader.require_usable`."""
        await require_single(
            self._client, "XREAD", "COUNT", 1, "STREAMS", STREAM_KEY, HEARTBEAT_KEY, "$", "$"
        )

    async def read(self, here: Position, block_seconds: float) -> BusRead:
        """See `BusReader.read`."""
        places: dict[Any, Any] = {STREAM_KEY: self._place(here), HEARTBEAT_KEY: self._beat_place}
        # No longer than until the silence is too long. At least 1: for Redis, 0 means for ever.
        patience = self._silence_seconds - (self._monotonic() - self._heard_at)
        block = max(1, int(min(block_seconds, MAX_BLOCK_SECONDS, patience) * 1000))
        try:
            reply: Any = await self._client.xread(places, count=MAX_ENTRIES_PER_READ, block=block) or []
        except FAILURES as error:
            self._begin_again()
            raise BusUnavailable(why(error)) from None
        heard = self._heard(here, {key.decode(): entries for key, entries in reply})
        if heard == BusRead():
            await self._check_silence()
            if reply:
                # Somebody writes who is no control plane. However fast: it must not take all turns here.
                await asyncio.sleep(PAUSE_AFTER_FORGERIES_SECONDS)
        else:
            self._heard_at = self._monotonic()
        return heard

    async def aclose(self) -> None:
        """See `BusReader.aclose`."""
        await close(self._client)

    def _place(self, here: Position) -> str:
        """Give the id to read after: entries read at this position are not read again."""
        if self._passed is not None and self._passed[0] == here:
            return self._passed[1]
        return f"{here.revision}-0"

    def _begin_again(self) -> None:
        self._beat_place, self._passed = _BEGINNING, None

    async def _check_silence(self) -> None:
        if self._monotonic() - self._heard_at >= self._silence_seconds:
            # A failover may have set the clock back that numbers the beats: begin with the newest again. And
            # this server may be one that nobody writes to any more: look anew for the one that is.
            self._begin_again()
            await leave(self._client)
            why_ = f"nothing was heard of the control plane for {self._silence_seconds:g} s"
            if self._is_untimely:
                why_ += f" but a heartbeat whose time is {MAX_BEAT_AGE_SECONDS:g} s off; compare the clocks"
            raise BusUnavailable(why_)

    def _heard(self, here: Position, reply: dict[str, _Entries]) -> BusRead:
        read = reply.get(STREAM_KEY, [])
        if read:
            self._passed = (here, read[-1][0].decode())
        entries = tuple(found for entry in read if (found := self._event_in(*entry)) is not None)
        beats = reply.get(HEARTBEAT_KEY, [])
        if beats:
            self._beat_place = beats[-1][0].decode()
        told = [beat for _, fields in beats if (beat := self._beat_in(fields)) is not None]
        # Both streams are read at one moment, so with entries here the beat may only be older than they.
        return BusRead(entries, beat=told[-1] if told and not entries else None)

    def _event_in(self, place: bytes, fields: dict[bytes, bytes]) -> tuple[int, bytes] | None:
        revision, _, part = place.partition(b"-")
        # A control plane's entry is the first of its revision; no signature fits a place below 0.
        where = int(revision) if part == b"0" else -1
        try:
            signed = fields.get(EVENT_FIELD.encode(), b"")
            return where, self._keys.open("event", signed, place=where)
        except ForgedError as error:
            self._forgeries.note(str(error))
            return None

    def _beat_in(self, fields: dict[bytes, bytes]) -> Position | None:
        """Read a beat; None for a beat without news, no newer than another beat."""
        try:
            signed = fields.get(HEARTBEAT_FIELD.encode(), b"")
            beat = decode_heartbeat(self._keys.open("heartbeat", signed))
        except FeedError as error:
            self._forgeries.note(str(error))
            return None
        if beat.at <= self._newest_beat_at:
            return None
        # No alarm: the last beat of a control plane that is gone is old too.
        self._is_untimely = abs(self._clock() - beat.at) > MAX_BEAT_AGE_SECONDS
        if self._is_untimely:
            return None
        self._newest_beat_at = beat.at
        return Position(beat.epoch, beat.revision)


class RedisSnapshotCopy:
    """A `SnapshotSource`: the control plane's copy of the snapshot in Redis.

    A copy last known as current longer than `max_age_seconds` ago is not used.
    """

    def __init__(
        self,
        client: Redis,
        keys: FeedKeys,
        forgeries: Forgeries,
        *,
        clock: Clock,
        max_age_seconds: float,
        max_bytes: int = MAX_SNAPSHOT_BYTES,
    ) -> None:
        self._client = client
        self._keys = keys
        self._forgeries = forgeries
        self._clock = clock
        self._max_age_seconds = max_age_seconds
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
            stamp: Any = await self._client.hget(SNAPSHOT_KEY, "stamp")
            body: Any = await self._client.hget(SNAPSHOT_KEY, "body")
            # In a thread: a large snapshot takes longer to decode than a request should wait.
            return await asyncio.to_thread(self._opened, stamp or b"", body or b"")
        except FAILURES as error:
            raise SnapshotUnavailable(why(error)) from None
        except ForgedError as error:
            self._forgeries.note(str(error))
            raise SnapshotUnavailable(f"the copy in Redis is {error}") from None
        except FeedError as error:
            raise SnapshotUnavailable(f"the copy in Redis is {error}") from None

    def _opened(self, stamp: bytes, body: bytes) -> Snapshot:
        said = decode_heartbeat(self._keys.open("snapshot stamp", stamp))
        snapshot = decode_snapshot(self._keys.open("snapshot", body))
        if (said.epoch, said.revision) != (snapshot.epoch, snapshot.revision):
            raise ForgedError("a snapshot under another one's stamp")
        if self._clock() - said.at > self._max_age_seconds:
            raise SnapshotUnavailable("the copy in Redis is older than this process may serve from")
        return snapshot

    async def aclose(self) -> None:
        """See `SnapshotSource.aclose`."""
        await close(self._client)


class SnapshotOrCopy:
    """A `SnapshotSource`: the control plane, or during its outage the copy, if more recent.

    A copy proves nothing about now: only a newer copy of the same epoch is used, or any copy by an empty
    process; otherwise a copy would count as word from the control plane.
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
