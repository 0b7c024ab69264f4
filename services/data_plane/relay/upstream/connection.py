"""A connection to a provider: finds where each response begins and ends, and hands its bytes to the user.

The connection knows HTTP message boundaries and nothing of orgs or boxes. Between two users the connection is
idle with its keeper, the pool, and a byte arriving then ends the connection: an unasked response must never
reach the next request. The connection's calls on user and keeper stand here, in a plain base class for each.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final, cast

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
    parse_response_head,
)
from services.data_plane.relay.upstream.unread import read_unread
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.response_templates import EndpointTemplates
    from services.data_plane.core.usage.tap import UsageTap
    from services.data_plane.relay.wire.transport import BoxTransport
    from services.data_plane.relay.wire.write_batch import WriteBatch

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


PoolKey = tuple[str, str]
"""An org and an endpoint: connections are shared within a key, and never beyond."""


class ResponseUser:
    """The sender of the request and receiver of the response."""

    __slots__ = ()

    def interim(self, head: ResponseHead, raw: bytes) -> None:
        """Take an interim head (1xx)."""

    def respond(self, head: ResponseHead, raw: bytes) -> bytes | None:  # noqa: ARG002  # for the user
        """Judge the final head. Gives the bytes to pass; None once the user has let the connection go."""
        raise AssertionError("the user of this part answers it")

    def relay(self, data: bytes, head: bytes = b"") -> None:
        """Pass a piece of the response's body or of a splice; `head` goes out in the same write."""

    def passthrough_target(self) -> tuple[BoxTransport | None, UsageTap | None]:
        """Give the destination of whole chunks without inspection, and the tap beside."""
        raise AssertionError("the user of this part answers it")

    def response_ended(self, *, reusable: bool) -> None:
        """The response is whole."""

    def upstream_lost(self, *, response_begun: bool) -> None:
        """The provider's connection ended in the wrong place."""

    def upstream_stalled(self) -> None:
        """The provider takes no more of the body for now."""

    def upstream_drained(self) -> None:
        """The provider takes bytes again."""

    def refuse(self, refused: Refused, upstream_status: int = 0) -> None:
        """Answer in place of an invalid response; the connection is gone."""


class ConnectionKeeper:
    """The keeper of idle connections."""

    __slots__ = ()

    def lost(self, connection: UpstreamConnection) -> None:
        """Take note of an ended connection. Called once for each."""

    def discard(self, connection: UpstreamConnection) -> None:
        """Forget a useless connection."""


class UpstreamConnection:
    """A pooled connection, used for a single exchange at a time.

    Attributes:
        used: whether the connection has been idle in the pool, and so may have been closed unseen.
        idle_since: the end of its last exchange, or the time of being pooled unused; 0 before.
        passed_bytes: of the current response's body or splice.
    """

    __slots__ = (
        "_batch",
        "_chunks_to",
        "_framing",
        "_head_buffer",
        "_interim_heads",
        "_keep_alive",
        "_keeper",
        "_limits",
        "_method",
        "_paused",
        "_phase",
        "_tap",
        "_templates",
        "_transport",
        "_user",
        "expires_at",
        "idle_since",
        "passed_bytes",
        "pool_key",
        "used",
        "write",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        keeper: ConnectionKeeper,
        pool_key: PoolKey,
        limits: RelayLimits,
        batch: WriteBatch,
        expires_at: float,
        templates: EndpointTemplates,
    ) -> None:
        self.pool_key = pool_key
        self.expires_at = expires_at
        self.idle_since = 0.0
        self.used = False
        self._keeper = keeper
        self._limits = limits
        self._batch = batch
        self._phase = _IDLE
        self._user: ResponseUser | None = None
        self._method = b""  # of the request that is answered
        self._head_buffer = HeadBuffer(limits.max_head_bytes, check_incomplete_response)
        self._templates = templates
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
        """Whether a request may be sent on this connection."""
        return self._phase is _IDLE and not self._transport.is_closing()

    # The user's side.

    def begin(self, user: ResponseUser, method: bytes, data: bytes) -> None:
        """Send a request's head, and whatever of its body is already there."""
        assert self._phase is _IDLE, self._phase
        self._user = user
        self._method = method
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
        """Leave at once, whatever the phase; the user hears no more."""
        self._leave()
        self._transport.abort()

    def finish(self) -> None:
        """Leave once the written bytes have left, or have stalled; the user hears no more."""
        self._leave()
        self._batch.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.write_stall_seconds, self._transport.abort)

    def _leave(self) -> None:
        if self._user is not None:
            self.idle_since = asyncio.get_running_loop().time()  # in use until now
        self._user = self._chunks_to = None
        self._phase = _CLOSED

    def close(self) -> None:
        """Close an idle connection."""
        self._phase = _CLOSED
        self._transport.close()

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. Both are bound here, because a relay consists of a call per piece."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self.write = partial(self._batch.put, self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass a piece of an answer.

        The pieces of a thousand streams come in turn, and each finds the caches full of the others. The cost
        is the number of touched objects: a whole chunk needs neither the exchange nor the framing.
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
        """End the running response: cleanly only where the end of the connection is the end of the answer."""
        if exc is not None and self._user is not None and (unread := read_unread(self._transport)):
            self._take(unread)
        user, phase = self._user, self._phase
        self._user = self._chunks_to = None
        self._phase = _CLOSED
        self._keeper.lost(self)
        if user is None:
            return
        if phase is _BODY and exc is None and isinstance(self._framing, UntilCloseFraming):
            user.response_ended(reusable=False)
        else:
            silent = phase is _HEAD and not self._interim_heads and self._head_buffer.empty
            user.upstream_lost(response_begun=not silent)

    def pause_writing(self) -> None:
        """The provider takes no more for now: stop reading from the box."""
        if self._user is not None:
            self._user.upstream_stalled()
        else:
            # The end of a request that was answered early, in the turn of its answer.
            self._keeper.discard(self)
            self.abort()

    def resume_writing(self) -> None:
        """The provider takes bytes again."""
        if self._user is not None:
            self._user.upstream_drained()

    # One answer.

    def _take(self, data: bytes) -> None:
        user = self._user
        if user is None:
            self._keeper.discard(self)
            self.abort()
        elif self._phase is _BODY:
            self._pass_body(user, data)
        elif self._phase is _SPLICED:
            self._relay(user, data)
        else:
            self._gather(user, data)

    def _gather(self, user: ResponseUser, data: bytes) -> None:
        """Collect heads until the final head is whole (RFC 9110 §15.2: interim heads come before)."""
        limits, method = self._limits, self._method
        while data:
            try:
                known = (
                    self._templates.read(data, method, limits.max_head_bytes)
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
                    head = parse_response_head(raw, method, limits.max_head_fields)
            except HeadTooLarge:
                self._fail(user, "its headers are too large")
                return
            except BadResponse as bad:
                self._fail(user, str(bad))
                return
            if not head.interim:
                self._begin_response(user, head, raw, data, learn=known is None)
                return
            self._interim_heads += 1
            if self._interim_heads > MAX_INTERIM_HEADS:
                self._fail(user, "too many interim answers")
                return
            user.interim(head, raw)

    def _begin_response(
        self, user: ResponseUser, head: ResponseHead, raw: bytes, rest: bytes, *, learn: bool
    ) -> None:
        out = user.respond(head, raw)
        if out is None:
            return
        if learn and out:  # a head that passes; a held one does not
            self._templates.learn(raw, head)
        self._keep_alive = head.keep_alive
        if head.status == _SWITCHING:
            self._phase = _SPLICED
            self._relay(user, rest, out)
        elif head.framing is None:
            self._relay(user, b"", out)
            self._end(user, extra=bool(rest))
        else:
            self._framing = head.framing
            self._phase = _BODY
            self._pass_body(user, rest, out)

    def _pass_body(self, user: ResponseUser, data: bytes, head: bytes = b"") -> None:
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming:
            self.abort()
            user.upstream_lost(response_begun=True)
            return
        if end == NOT_ENDED:
            self._relay(user, data, head)
            # Not beside a head, which still waits for the turn's end.
            if not head and self._user is user and isinstance(self._framing, ChunkedFraming):
                self._chunks_to, self._tap = (
                    user.passthrough_target() if self._framing.at_border else (None, None)
                )
            return
        extra = end < len(data)
        self._relay(user, data[:end] if extra else data, head)
        self._end(user, extra=extra)

    def _relay(self, user: ResponseUser, data: bytes, head: bytes = b"") -> None:
        self.passed_bytes += len(data)
        user.relay(data, head)

    def _end(self, user: ResponseUser, *, extra: bool) -> None:
        """The answer is whole.

        Bytes behind the answer belong to no request, so the connection is not used again. A connection whose
        provider has not even taken the request is dropped too: no user would learn about the stall.
        """
        if self._user is not user:
            return  # relaying the last piece ended the exchange another way
        reusable = self._keep_alive and not extra and not self._transport.get_write_buffer_size()
        self._user = self._framing = self._chunks_to = self._tap = None
        self._phase = _IDLE
        user.response_ended(reusable=reusable)

    def _fail(self, user: ResponseUser, detail: str) -> None:
        self.abort()
        user.refuse(Refused(Rejection.UPSTREAM_INVALID, detail))
