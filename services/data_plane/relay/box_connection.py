"""One connection from a box: finds where each request begins and ends, and starts an exchange for it.

It is what uvicorn makes for every connection of the box listener (`http=`). It answers what the gateway must
answer itself, hands requests that are not the relay's to uvicorn's own protocol, and moves bytes otherwise.
The phases are those of the *request* side; what becomes of the answer is the exchange's business.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, cast

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.admission import check_admission
from services.data_plane.core.answers import write_rejection, write_warm_up
from services.data_plane.core.caller import Unidentified
from services.data_plane.core.framing import (
    NOT_ENDED,
    BadFraming,
    ChunkedFraming,
    Framing,
    LengthFraming,
    UntilCloseFraming,
)
from services.data_plane.core.header_rules import Rule, request_rule
from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.request_head import (
    HEAD_END,
    RequestHead,
    check_incomplete,
    cut_request_head,
)
from services.data_plane.core.route import Route, find_route, split_target
from services.data_plane.relay.exchange import Exchange, Stage
from services.data_plane.relay.hand_over import hand_over
from shared.providers import PROVIDERS, Provider
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.relay.hand_over import UvicornParts
    from services.data_plane.relay.relay import Relay

MAX_DISCARDED_BODY_BYTES: Final = 1024 * 1024
LINGER_SECONDS: Final = 2.0
FLUSH_SECONDS: Final = 5.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_ANTHROPIC_HINT: Final = re.compile(rb"[A-Z]+ /run9/ai/anthropic[/? ]")


class _Phase(Enum):
    IDLE = auto()  # between requests
    HEAD = auto()  # part of a head is here
    BODY = auto()  # the request's body is arriving
    ANSWER = auto()  # the request is whole; its answer is under way
    SPLICED = auto()
    DISCARD = auto()  # answered by the gateway; the rest of the body is thrown away
    LINGER = auto()  # answered, closing: what the box still sends is thrown away, so that it reads the answer
    FLUSH = auto()  # closing as soon as the last bytes have left
    GONE = auto()  # closed, or handed over


class BoxConnection(asyncio.Protocol):
    """A box's connection."""

    __slots__ = (
        "_abort_after_flush",
        "_buffer",
        "_close_after_answer",
        "_exchange",
        "_framing",
        "_moved",
        "_next",
        "_phase",
        "_reading_paused",
        "_relay",
        "_since",
        "_stalled_bytes",
        "_transport",
        "_uvicorn",
        "box_key",
        "write",
        "write_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, relay: Relay, uvicorn: UvicornParts) -> None:
        self._relay = relay
        self._uvicorn = uvicorn
        self._phase = _Phase.IDLE
        self._since = 0.0
        self._moved = False
        self._buffer = b""
        self._next = b""
        self._framing: Framing | None = None
        self._exchange: Exchange | None = None
        self._close_after_answer = False
        self._abort_after_flush = False
        self._reading_paused = False
        self._stalled_bytes = 0
        self.write_paused = False
        self.box_key: tuple[str, str] | None = None

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._relay.limits.write_buffer_bytes)
        self.write = self._transport.write
        self._since = self._relay.loop.time()
        self._relay.connections.add(self)
        self._uvicorn.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, as the phase says."""
        match self._phase:
            case _Phase.IDLE | _Phase.HEAD:
                self._gather(data)
            case _Phase.BODY | _Phase.DISCARD:
                self._take_body(data)
            case _Phase.SPLICED:
                self._moved = True
                assert self._exchange is not None
                self._exchange.send_body(data)
            case _Phase.ANSWER:
                self._hold_next(data)
            case _:
                pass  # closing: thrown away

    def eof_received(self) -> bool:
        """The box sends no more: it has left (docs/adr/0005). The transport closes itself."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it left changes nothing
        """The box has left."""
        self._forget()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.box_gone()

    def pause_writing(self) -> None:
        """The box takes no more for now."""
        self.write_paused = True
        self._since = self._relay.loop.time()
        self._stalled_bytes = self._transport.get_write_buffer_size()
        if self._exchange is not None:
            self._exchange.box_stalled()

    def resume_writing(self) -> None:
        """The box takes bytes again."""
        self.write_paused = False
        self._since = self._relay.loop.time()
        if self._phase is _Phase.FLUSH:
            self._finish_flush()
        elif self._exchange is not None:
            self._exchange.box_drained()

    def shutdown(self) -> None:
        """Uvicorn's word that the process drains: end after the answer that is under way."""
        self._close_after_answer = True
        if self._phase in {_Phase.IDLE, _Phase.HEAD}:
            self._transport.close()

    # Requests.

    def _gather(self, data: bytes) -> None:
        """Collect a head until its empty line, then admit the request."""
        limit = self._relay.limits.max_head_bytes
        if self._phase is _Phase.IDLE:
            self._phase = _Phase.HEAD
            self._since = self._relay.loop.time()
        else:
            data = self._buffer + data
        end = data.find(HEAD_END, 0, limit)
        if end >= 0:
            self._buffer = b""
            end += len(HEAD_END)
            self._admit(data[:end], data[end:])
            return
        self._buffer = data
        try:
            if len(data) >= limit:
                raise Refused(Rejection.HEAD_TOO_LARGE, f"more than {limit} bytes")
            check_incomplete(data)
        except Refused as refused:
            self._refuse_head(refused, data)

    def _admit(self, raw: bytes, rest: bytes) -> None:
        """Judge a whole head and start its exchange; every way out is an answer."""
        relay = self._relay
        try:
            head = cut_request_head(raw, relay.limits.max_head_fields)
        except Refused as refused:
            self._refuse_head(refused, raw)
            return
        self._close_after_answer = self._close_after_answer or not head.keep_alive
        self._framing = _framing_of(head)
        path, query = split_target(head.target)
        record = ExchangeRecord(method=head.method.decode(), started_at=relay.clock())
        route: Route | None = None
        try:
            route = find_route(path)
            check_admission(head, relay.authorities, relay.limits.max_body_bytes)
            if route is None:
                self._hand_over(raw, rest)
                return
            record.provider, record.route = route.provider.name, route.label
            record.leaked_key = head.leaked_key
            if head.method == b"HEAD" and not route.rest:
                self._answer_warm_up(record, rest)
                return
            box = relay.identity.identify(head.box_token)
            record.org, record.box = box.org, box.box
            relay.check_room(self, box)
        except Unidentified as unknown:
            rejection = Rejection.BOX_IDENTITY_REQUIRED
            self._refuse_request(Refused(rejection, str(unknown)), route, record, rest)
            return
        except Refused as refused:
            self._refuse_request(refused, route, record, rest)
            return
        self._begin(Exchange(relay, self, head, route, query, record), rest)

    def _begin(self, exchange: Exchange, rest: bytes) -> None:
        self._exchange = exchange
        body = rest
        if self._framing is None:
            self._phase = _Phase.ANSWER
            self._next, body = rest, b""
        else:
            self._phase = _Phase.BODY
            if rest:
                body = self._body_part(rest)
                if self._exchange is not exchange:
                    return
        exchange.record.bytes_up = len(body)
        exchange.start(body)

    def _body_part(self, data: bytes) -> bytes:
        """Give what of `data` belongs to the body; what follows it is the next request's."""
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming as bad:
            self._break_request(bad)
            return b""
        if end == NOT_ENDED:
            return data
        self._framing = None
        self._phase = _Phase.ANSWER if self._phase is _Phase.BODY else self._phase
        if end < len(data):
            self._next = data[end:]
            return data[:end]
        return data

    def _take_body(self, data: bytes) -> None:
        self._moved = True
        part = self._body_part(data)
        if self._phase is _Phase.DISCARD:
            if self._framing is None:
                self._next_request()
        elif self._exchange is not None and part:
            self._exchange.send_body(part)
            if (
                self._exchange is not None
                and self._exchange.stage is Stage.PREPARING
                and self._exchange.unsent_bytes >= self._relay.limits.write_buffer_bytes
            ):
                self.pause()

    def _break_request(self, bad: BadFraming) -> None:
        """The body cannot be followed any further: whatever is after it must not be read as a request."""
        self._framing = None
        exchange, refused = self._exchange, bad_request(str(bad))
        if exchange is None or exchange.stage is Stage.ENDED:
            self.abort_when_flushed()
        else:
            self._close_after_answer = True
            exchange.cut(refused)

    def _hold_next(self, data: bytes) -> None:
        """Keep the beginning of the next request until this one is answered (RFC 9112 §9.3.2)."""
        self._next += data
        if len(self._next) > self._relay.limits.max_head_bytes:
            self.pause()

    def _hand_over(self, raw: bytes, rest: bytes) -> None:
        """Not the relay's path: uvicorn serves this one request from the application."""
        self._forget()
        hand_over(self._transport, self._uvicorn, raw, rest)

    # Answers of the gateway.

    def _answer_warm_up(self, record: ExchangeRecord, rest: bytes) -> None:
        self.write(write_warm_up(close=self._close_after_answer))
        record.status, record.outcome = 200, "answered"
        self._relay.account.finished(record)
        self._after_own_answer(rest)

    def _refuse_head(self, refused: Refused, raw: bytes) -> None:
        """Answer a head that cannot be read; nothing after it can be, either."""
        self._close_after_answer = True
        self._framing = None
        provider = PROVIDERS["anthropic"] if _ANTHROPIC_HINT.match(raw) else None
        record = ExchangeRecord(started_at=self._relay.clock())
        if provider is not None:
            record.provider = provider.name
        self._book(refused, record)
        self._write_rejection(refused, provider, record, bodiless=raw.startswith(b"HEAD "))
        self._linger()

    def _refuse_request(
        self, refused: Refused, route: Route | None, record: ExchangeRecord, rest: bytes
    ) -> None:
        """Answer a request that may not pass; the connection goes on when the rest of the body is small."""
        if refused.rejection is Rejection.BAD_REQUEST:
            self._close_after_answer = True
        self._book(refused, record)
        provider = route.provider if route else None
        self._settle_unread_body()
        self._write_rejection(refused, provider, record, bodiless=record.method == "HEAD")
        self._after_own_answer(rest)

    def reject(self, refused: Refused) -> None:
        """Answer for the exchange, which has ended."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        self._settle_unread_body()
        record, head = exchange.record, exchange.head
        self._write_rejection(refused, exchange.route.provider, record, bodiless=head.method == b"HEAD")
        self._after_own_answer(b"")

    def _book(self, refused: Refused, record: ExchangeRecord) -> None:
        record.status, record.code = refused.rejection.status, refused.rejection.code
        record.request_id = self._relay.new_request_id()
        self._relay.account.finished(record)

    def _write_rejection(
        self, refused: Refused, provider: Provider | None, record: ExchangeRecord, *, bodiless: bool
    ) -> None:
        self.write(
            write_rejection(
                refused,
                provider,
                request_id=record.request_id or self._relay.new_request_id(),
                bodiless=bodiless,
                close=self._close_after_answer,
            )
        )

    def _settle_unread_body(self) -> None:
        """Decide whether what the box still sends is worth reading; if not, this answer is the last."""
        framing = self._framing
        if framing is not None and not (
            isinstance(framing, LengthFraming) and framing.left <= MAX_DISCARDED_BODY_BYTES
        ):
            self._close_after_answer = True

    def _after_own_answer(self, rest: bytes) -> None:
        if self._framing is not None and not self._close_after_answer:
            self._phase = _Phase.DISCARD
            self._since = self._relay.loop.time()
            self.resume()
            if rest:
                self._take_body(rest)
        elif self._close_after_answer:
            self._linger()
        else:
            self._next += rest
            self._next_request()

    # What the exchange asks for.

    def request_sent(self) -> None:
        """The head and the first part of the body have left: the rest may come."""
        self._since = self._relay.loop.time()
        if self._phase is _Phase.BODY:
            self.resume()

    @property
    def request_complete(self) -> bool:
        """Whether the whole request has arrived."""
        return self._framing is None

    def answering(self, head: ResponseHead) -> bool:
        """The answer begins. Tells whether the connection ends after it."""
        self._since = self._relay.loop.time()
        if head.status == 101:  # noqa: PLR2004  # Switching Protocols
            self._phase = _Phase.SPLICED
            if self._next:
                assert self._exchange is not None
                self._exchange.send_body(self._next)
                self._next = b""
            self.resume()
            return False
        if isinstance(head.framing, UntilCloseFraming) or self._framing is not None:
            # Only the end of the connection ends this answer, or the box is still sending a refused body.
            self._close_after_answer = True
        return self._close_after_answer

    def answer_complete(self) -> None:
        """The answer has left whole."""
        self._exchange = None
        if not self._close_after_answer:
            self._next_request()
        elif self._framing is not None:
            self._linger()
        else:
            self.close_when_flushed()

    def _next_request(self) -> None:
        self._phase = _Phase.IDLE
        self._since = self._relay.loop.time()
        self.resume()
        if self._next:
            # From the loop, so that a thousand pipelined requests do not nest.
            self._relay.loop.call_soon(self._gather_next)

    def _gather_next(self) -> None:
        if self._phase is _Phase.IDLE and self._next:
            data, self._next = self._next, b""
            self._gather(data)
        elif self._phase is _Phase.HEAD:
            raise AssertionError("bytes overtook the ones that were held")

    def pause(self) -> None:
        """Stop reading from the box."""
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the box again."""
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # Endings.

    def close_when_flushed(self) -> None:
        """End cleanly once the last bytes have left."""
        self._forget_exchange()
        self._phase = _Phase.FLUSH
        self._transport.close()

    def abort_when_flushed(self) -> None:
        """End as a visible break: what has been relayed still arrives, then the connection is reset.

        A clean end would let clients take half an answer for a whole one.
        """
        self._forget_exchange()
        if self._phase is _Phase.GONE or self._transport.is_closing():
            return
        self._phase = _Phase.FLUSH
        self._abort_after_flush = True
        self._since = self._relay.loop.time()
        self._transport.set_write_buffer_limits(high=0)
        if not self._transport.get_write_buffer_size():
            self._finish_flush()

    def _finish_flush(self) -> None:
        if self._abort_after_flush:
            box_socket = self._transport.get_extra_info("socket")
            if box_socket is not None:
                box_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def _linger(self) -> None:
        """Close, but let the box read the answer first: bytes it still sends would reset the connection."""
        self._forget_exchange()
        self._phase = _Phase.LINGER
        self._since = self._relay.loop.time()
        self.resume()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _forget_exchange(self) -> None:
        self._exchange = None

    def _forget(self) -> None:
        self._phase = _Phase.GONE
        self._relay.forget_connection(self)
        self._uvicorn.server_state.connections.discard(self)  # type: ignore[arg-type]  # as above

    # Deadlines, looked at every second or so: one timer for all connections instead of one for each.

    def check_deadline(self, now: float) -> None:
        """End what has taken too long."""
        limits = self._relay.limits
        if self.write_paused and self._phase is not _Phase.FLUSH:
            self._check_stall(now)
            return
        if self._moved:
            self._moved = False
            self._since = now
        waited = now - self._since
        match self._phase:
            case _Phase.IDLE:
                if waited > limits.keep_alive_seconds:
                    self._transport.close()
            case _Phase.HEAD:
                if waited > limits.head_seconds:
                    detail = f"its headers took longer than {limits.head_seconds:g} s"
                    self._refuse_head(Refused(Rejection.REQUEST_TIMEOUT, detail), self._buffer)
            case _Phase.BODY | _Phase.ANSWER | _Phase.SPLICED:
                self._check_exchange(waited)
            case _Phase.DISCARD | _Phase.LINGER:
                if waited > LINGER_SECONDS:
                    self._transport.abort()
            case _Phase.FLUSH:
                if waited > FLUSH_SECONDS:
                    self._transport.abort()
            case _Phase.GONE:
                pass

    def _check_stall(self, now: float) -> None:
        """A box that takes nothing for a minute is not reading."""
        left = self._transport.get_write_buffer_size()
        if left != self._stalled_bytes:
            self._stalled_bytes = left
            self._since = now
        elif now - self._since > self._relay.limits.write_stall_seconds:
            self._transport.abort()

    def _check_exchange(self, waited: float) -> None:
        exchange, limits = self._exchange, self._relay.limits
        if exchange is None:
            return
        if exchange.stage is Stage.PREPARING:
            return  # the secret read and the dial have deadlines of their own
        if self._phase is _Phase.BODY and exchange.stage is Stage.SENT:
            limit = limits.write_stall_seconds if self._reading_paused else limits.body_progress_seconds
            rejection = Rejection.UPSTREAM_TIMEOUT if self._reading_paused else Rejection.REQUEST_TIMEOUT
            detail = f"no progress for {limit:g} s"
        elif exchange.stage is Stage.SENT:
            limit, rejection = limits.first_byte_seconds, Rejection.UPSTREAM_TIMEOUT
            detail = f"nothing for {limit:g} s"
        else:
            limit, rejection = limits.idle_seconds, Rejection.UPSTREAM_TIMEOUT
            detail = f"nothing more for {limit:g} s"
        if waited > limit:
            self._close_after_answer = True
            exchange.cut(Refused(rejection, detail))


def _framing_of(head: RequestHead) -> Framing | None:
    if head.chunked:
        return ChunkedFraming(forbids=_not_a_trailer)
    if head.content_length:
        return LengthFraming(head.content_length)
    return None


def _not_a_trailer(name: bytes) -> bool:
    """What would not have passed in the head may not come after the body either."""
    return request_rule(name)[0] is not Rule.KEEP
