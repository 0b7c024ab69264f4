"""One connection to a provider: finds where each answer begins and ends, and hands its bytes to the exchange.

It knows HTTP message boundaries and nothing of orgs or boxes. Between two exchanges it is idle in the pool,
and a byte that arrives then ends it: an answer that nobody asked for must never reach the next request.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from services.data_plane.core.answer_layout import ANSWER_LAYOUTS
from services.data_plane.core.framing import (
    NOT_ENDED,
    BadFraming,
    ChunkedFraming,
    Framing,
    UntilCloseFraming,
    is_whole_chunk,
)
from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_head import (
    BadResponse,
    ResponseHead,
    check_incomplete_response,
    cut_response_head,
)
from services.data_plane.relay.unread import read_unread
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.usage.tap import UsageTap
    from services.data_plane.relay.box_transport import BoxTransport
    from services.data_plane.relay.exchange import Exchange
    from services.data_plane.relay.pool import Pool, PoolKey
    from services.data_plane.relay.write_batch import WriteBatch

MAX_INTERIM_HEADS: Final = 16
_SWITCHING: Final = 101


class _Phase(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    SPLICED = auto()
    CLOSED = auto()


# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_IDLE: Final = _Phase.IDLE
_HEAD: Final = _Phase.HEAD
_BODY: Final = _Phase.BODY
_SPLICED: Final = _Phase.SPLICED
_CLOSED: Final = _Phase.CLOSED


class UpstreamConnection:
    """A pooled connection; made by `Pool.connect`, used by one `Exchange` at a time.

    Attributes:
        used: whether it has been idle in the pool, and so may have been closed unseen.
        idle_since: when its last exchange was over, or when it was pooled unused; 0 before.
        passed_bytes: of the current answer's body or splice.
    """

    __slots__ = (
        "_batch",
        "_chunks_to",
        "_exchange",
        "_framing",
        "_head_buffer",
        "_interim_heads",
        "_keep_alive",
        "_layouts",
        "_limits",
        "_paused",
        "_phase",
        "_pool",
        "_tap",
        "_transport",
        "expires_at",
        "idle_since",
        "passed_bytes",
        "pool_key",
        "used",
        "write",
    )

    _transport: asyncio.Transport

    def __init__(
        self, pool: Pool, pool_key: PoolKey, limits: RelayLimits, batch: WriteBatch, expires_at: float
    ) -> None:
        self.pool_key = pool_key
        self.expires_at = expires_at
        self.idle_since = 0.0
        self.used = False
        self._pool = pool
        self._limits = limits
        self._batch = batch
        self._phase = _IDLE
        self._exchange: Exchange | None = None
        self._head_buffer = HeadBuffer(limits.max_head_bytes, check_incomplete_response)
        self._layouts = ANSWER_LAYOUTS.memo_of(pool_key)
        self._framing: Framing | None = None
        # Takes whole chunks of a body that nobody must look into; None where a chunk is under way, and else.
        self._chunks_to: BoxTransport | None = None
        self._tap: UsageTap | None = None
        self.passed_bytes = 0
        self._keep_alive = False  # after the answer that is under way, if the provider has its way
        self._interim_heads = 0
        self._paused = False

    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it."""
        return self._phase is _IDLE and not self._transport.is_closing()

    # The exchange's side.

    def begin(self, exchange: Exchange, data: bytes) -> None:
        """Send a request's head, and whatever of its body is already there."""
        assert self._phase is _IDLE, self._phase
        self._exchange = exchange
        self._phase = _HEAD
        self._interim_heads = 0
        self.passed_bytes = 0
        self.write(data)

    def pause(self) -> None:
        """Stop reading: the box does not take any more for now."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Leave at once, whatever the phase; the exchange hears no more."""
        self._leave()
        self._transport.abort()

    def finish(self) -> None:
        """Leave once what was written has left, or has stalled; the exchange hears no more."""
        self._leave()
        self._batch.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.write_stall_seconds, self._transport.abort)

    def _leave(self) -> None:
        if self._exchange is not None:
            self.idle_since = asyncio.get_running_loop().time()  # in use until now
        self._exchange = self._chunks_to = None
        self._phase = _CLOSED

    def close(self) -> None:
        """Close an idle connection."""
        self._phase = _CLOSED
        self._transport.close()

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. Both are bound here, because one call per piece is what a relay is made of."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self.write = partial(self._batch.put, self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass a piece of an answer.

        The pieces of a thousand streams come in turn, and each finds the caches full of the others. What one
        costs is how many objects it touches: a whole chunk needs neither the exchange nor the framing.
        """
        box = self._chunks_to
        if box is None or not is_whole_chunk(data):
            self._take(data)
            return
        self.passed_bytes += len(data)
        box.put(data)
        if self._tap is not None:
            self._tap.take(data)

    def eof_received(self) -> bool:
        """The provider sends no more; the transport closes itself, and `connection_lost` says the rest."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was going on: cleanly only where the end of the connection is the end of the answer."""
        if exc is not None and self._exchange is not None and (unread := read_unread(self._transport)):
            self._take(unread)
        exchange, phase = self._exchange, self._phase
        self._exchange = self._chunks_to = None
        self._phase = _CLOSED
        self._pool.lost(self)
        if exchange is None:
            return
        if phase is _BODY and exc is None and isinstance(self._framing, UntilCloseFraming):
            exchange.answered(reusable=False)
        else:
            silent = phase is _HEAD and not self._interim_heads and self._head_buffer.empty
            exchange.upstream_lost(answer_begun=not silent)

    def pause_writing(self) -> None:
        """The provider takes no more for now: stop reading from the box."""
        if self._exchange is not None:
            self._exchange.upstream_stalled()
        else:
            # The end of a request that was answered early, in the turn of its answer.
            self._pool.discard(self)
            self.abort()

    def resume_writing(self) -> None:
        """The provider takes bytes again."""
        if self._exchange is not None:
            self._exchange.upstream_drained()

    # One answer.

    def _take(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self._pool.discard(self)
            self.abort()
        elif self._phase is _BODY:
            self._pass_body(exchange, data)
        elif self._phase is _SPLICED:
            self._relay(exchange, data)
        else:
            self._gather(exchange, data)

    def _gather(self, exchange: Exchange, data: bytes) -> None:
        """Collect heads until the final one is whole (RFC 9110 §15.2: interim ones come before it)."""
        limits, method = self._limits, exchange.head.method
        while data:
            try:
                known = (
                    self._layouts.read(data, method, limits.max_head_bytes)
                    if self._head_buffer.empty
                    else None
                )
                if known is not None:
                    head, end = known
                    raw, data = data[:end], data[end:]
                else:
                    found = self._head_buffer.feed(data)
                    if found is None:
                        return
                    raw, data = found
                    head = cut_response_head(raw, method, limits.max_head_fields, self._layouts)
            except HeadTooLarge:
                self._fail(exchange, "its headers are too large")
                return
            except BadResponse as bad:
                self._fail(exchange, str(bad))
                return
            if not head.interim:
                self._begin_answer(exchange, head, raw, data)
                return
            self._interim_heads += 1
            if self._interim_heads > MAX_INTERIM_HEADS:
                self._fail(exchange, "too many interim answers")
                return
            exchange.interim(head, raw)

    def _begin_answer(self, exchange: Exchange, head: ResponseHead, raw: bytes, rest: bytes) -> None:
        out = exchange.answer(head, raw)
        if out is None:
            return  # the exchange answered for itself and let go of this connection
        self._keep_alive = head.keep_alive
        if head.status == _SWITCHING:
            self._phase = _SPLICED
            self._relay(exchange, rest, out)
        elif head.framing is None:
            self._relay(exchange, b"", out)
            self._end(exchange, extra=bool(rest))
        else:
            self._framing = head.framing
            self._phase = _BODY
            self._pass_body(exchange, rest, out)

    def _pass_body(self, exchange: Exchange, data: bytes, head: bytes = b"") -> None:
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming:
            self.abort()
            exchange.upstream_lost(answer_begun=True)
            return
        if end == NOT_ENDED:
            self._relay(exchange, data, head)
            # Not beside a head, which still waits for the turn's end.
            if not head and self._exchange is exchange and isinstance(self._framing, ChunkedFraming):
                self._chunks_to, self._tap = exchange.way_on() if self._framing.at_border else (None, None)
            return
        extra = end < len(data)
        self._relay(exchange, data[:end] if extra else data, head)
        self._end(exchange, extra=extra)

    def _relay(self, exchange: Exchange, data: bytes, head: bytes = b"") -> None:
        self.passed_bytes += len(data)
        exchange.relay(data, head)

    def _end(self, exchange: Exchange, *, extra: bool) -> None:
        """The answer is whole. Bytes after it belong to nobody, so the connection is not used again.

        Nor is one whose provider has not even taken the request: nobody would be told that it is stalled.
        """
        if self._exchange is not exchange:
            return  # relaying the last piece ended the exchange another way
        reusable = self._keep_alive and not extra and not self._transport.get_write_buffer_size()
        self._exchange = self._framing = self._chunks_to = self._tap = None
        self._phase = _IDLE
        exchange.answered(reusable=reusable)

    def _fail(self, exchange: Exchange, detail: str) -> None:
        self.abort()
        exchange.refuse(Refused(Rejection.UPSTREAM_INVALID, detail))
