"""A connection from a box: finds where requests begin and end, and starts an exchange for each.

uvicorn makes this protocol for every connection of the box listener (`http=`). The connection sends the
gateway's own answers, hands foreign requests to uvicorn's own protocol, and moves bytes otherwise. The phases
are those of the *request* side; the fate of the answer is the exchange's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.admission import check_admission, check_length
from services.data_plane.core.answers import write_rejection, write_warm_up
from services.data_plane.core.caller import Unidentified
from services.data_plane.core.framing import NOT_ENDED, BadFraming, Framing, UntilCloseFraming, discardable
from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.request_head import check_incomplete, parse_request_head
from services.data_plane.core.request_template import RequestTemplate
from services.data_plane.core.route import split_target
from services.data_plane.relay.box.endings import BoxEndings
from services.data_plane.relay.box.hand_over import hand_over
from services.data_plane.relay.box.phase import Phase, phase_seconds
from services.data_plane.relay.exchange import Exchange
from services.data_plane.relay.exchange_stage import Stage
from services.data_plane.relay.parts import new_request_id
from services.data_plane.relay.wire.transport import BoxTransport
from shared.rejections import Place, Rejection

if TYPE_CHECKING:
    import asyncio

    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.relay.box.hand_over import UvicornParts
    from services.data_plane.relay.parts import RelayParts
    from services.data_plane.relay.ports import Identity
    from shared.box_token import Box
    from shared.providers import Provider

_SWITCHING: Final = 101

# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_IDLE: Final = Phase.IDLE
_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY
_ANSWER: Final = Phase.ANSWER
_LAST_ANSWER: Final = Phase.LAST_ANSWER
_SPLICED: Final = Phase.SPLICED
_DISCARD: Final = Phase.DISCARD
_GONE: Final = Phase.GONE
_PREPARING: Final = Stage.PREPARING


class BoxConnection(BoxEndings):
    """A box's connection."""

    __slots__ = (
        *("_awaits_continue", "_framing", "_head_buffer", "_identity", "_next", "_template", "_uvicorn"),
    )

    def __init__(self, parts: RelayParts, uvicorn: UvicornParts, identity: Identity, box: Box | None) -> None:
        super().__init__(parts, _IDLE, box)
        self._uvicorn, self._identity = uvicorn, identity
        self._head_buffer = HeadBuffer(parts.limits.max_head_bytes, check_incomplete)
        self._next = b""  # what came after the current request
        self._framing: Framing | None = None  # of the current request's body; None once it is whole
        self._awaits_continue = False
        self._template: RequestTemplate | None = None

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        parts = self._parts
        self.transport = BoxTransport(
            transport, parts.limits.write_buffer_bytes, parts.batch, parts.hang_up_watch, self.left_unread
        )
        self.write = self.transport.write
        parts.connection_limits.add(self, self._since)
        self._book_proven()
        self._uvicorn.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, as the phase says."""
        phase = self._phase
        if (phase is _IDLE or phase is _HEAD) and not self._next:
            self._gather_head(data)
        elif phase is _BODY:
            self._take_body(data)
        elif phase is _SPLICED:
            assert self._exchange is not None
            self._exchange.send_body(data)
        elif phase is _ANSWER or phase is _IDLE:  # IDLE: `_begin_next` has not run yet
            self._hold_next(data)
        elif phase is _DISCARD:
            self._discard_body(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it left changes nothing
        """The box has left."""
        self.transport.unwatch()
        self._box_left()
        self._forget()

    def _forget(self) -> None:
        self._phase = _GONE
        self._parts.connection_limits.discard(self)
        self._uvicorn.server_state.connections.discard(self)

    # A request's head.

    def _gather_head(self, data: bytes) -> None:
        template = self._template
        if template is not None and self._phase is _IDLE and (known := template.recognise(data)) is not None:
            self._admit(*known)
            return
        try:
            found = self._head_buffer.feed(data)
        except HeadTooLarge:
            limit = self._parts.limits.max_head_bytes
            self._refuse_head(Refused(Rejection.HEAD_TOO_LARGE, f"more than {limit} bytes"))
        except Refused as refused:
            self._refuse_head(refused)
        else:
            if found is not None:
                self._admit(*found)
            elif self._phase is _IDLE:
                self._enter(_HEAD)

    def _admit(self, raw: bytes, rest: bytes, length: bytes | None = None) -> None:
        """Judge a whole head, the template's if a `length` is given: start an exchange or answer."""
        record, template = ExchangeRecord(self._parts.clock()), self._template
        try:
            if template is not None and length is not None:
                content_length = int(length or b"0")
                self._framing = template.head.framing_of(content_length)
                self._awaits_continue = template.head.expects_continue
                check_length(content_length, self._parts.limits.max_body_bytes)
                self._serve(template, length, record, rest)
            else:
                self._admit_new(raw, record, rest)
        except Refused as refused:
            self._refuse(refused, raw, record, rest)

    def _admit_new(self, raw: bytes, record: ExchangeRecord, rest: bytes) -> None:
        parts = self._parts
        head = parse_request_head(raw, parts.limits.max_head_fields)
        self._close_after_answer = self._close_after_answer or not head.keep_alive
        self._framing, self._awaits_continue = head.framing(), head.expects_continue
        record.method = head.method.decode()
        path, query = split_target(head.target)
        route = parts.routes.find(path)
        check_admission(head, parts.authorities, parts.limits.max_body_bytes)
        if route is None:
            self.transport.resume_reading()
            hand_over(self.transport.raw, self._uvicorn, self._identity, raw, self._framing, rest)
            self._forget()
        else:
            self._template = template = RequestTemplate(raw, head, route, query, parts.limits.max_head_bytes)
            length = b"" if head.content_length is None else b"%d" % head.content_length
            self._serve(template, length, record, rest)

    def _serve(self, template: RequestTemplate, length: bytes, record: ExchangeRecord, rest: bytes) -> None:
        parts, head, route = self._parts, template.head, template.route
        record.method, record.provider, record.route = template.method, route.provider.name, route.label
        record.leaked_key = template.leaked_key
        if route.warm_up and head.method == b"HEAD":
            if self._framing is not None:
                raise bad_request("a HEAD of a base URL has no body")
            self.write(write_warm_up(close=self._close_after_answer))
            record.status, record.outcome = 200, "answered"
            parts.account.finished(record)
            self._after_own_answer(rest)
            return
        try:
            self.box = box = self._identity.identify(head.box_token)
        except Unidentified as unknown:
            self._close_after_answer = self._close_after_answer or unknown.of_connection
            raise Refused(*unknown.rejection) from None
        if box.expires_at <= record.started_at:
            self._close_after_answer = True  # the next connection brings a fresh token
        record.org, record.box = box.org, box.box
        load = parts.connection_limits.book(box, self)
        exchange = Exchange(parts, self, load, template, length, record)
        parts.connection_limits.begin_exchange(load, self)
        self._begin(exchange, rest)

    # A request's body.

    def _begin(self, exchange: Exchange, rest: bytes) -> None:
        self._exchange = exchange
        body = b""
        if self._framing is None:
            self._phase = _ANSWER
            if rest:
                self._hold_next(rest)
        else:
            self._phase = _BODY
            if rest:
                body = self._body_part(rest)
        if exchange.stage is _PREPARING:  # a body that breaks the rules has ended it
            exchange.start(body)

    def _body_part(self, data: bytes) -> bytes:
        """Give the part of `data` inside the body; the rest is the next request's."""
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming as bad:
            self._break_request(bad)
            return b""
        if end == NOT_ENDED:
            return data
        self._framing = None
        if self._phase is _BODY:
            self._phase = _ANSWER
        if end < len(data):
            self._hold_next(data[end:])
        return data[:end]

    def _take_body(self, data: bytes) -> None:
        part = self._body_part(data)
        if (exchange := self._exchange) is None:
            return
        exchange.send_body(part)
        if self._framing is not None and exchange.unsent_bytes >= self._parts.limits.write_buffer_bytes:
            self.transport.pause_reading()

    def _discard_body(self, data: bytes) -> None:
        self._body_part(data)
        if self._framing is None:
            self._next_request()

    def _break_request(self, bad: BadFraming) -> None:
        """The body cannot be followed any further: whatever comes must not be read as a request."""
        self._close_after_answer = True
        if self._exchange is not None:
            self._exchange.abort(bad_request(str(bad)))
        else:
            self._linger()

    def _hold_next(self, data: bytes) -> None:
        """Keep the beginning of the next request until this request is answered (RFC 9112 §9.3.2).

        A box with a whole request is always read, to notice its leaving. So no more than a head is kept
        ahead: the connection ends with the response, and a pipelining client must be ready for this.
        """
        self._next += data
        if len(self._next) <= self._parts.limits.max_head_bytes:
            return
        if (exchange := self._exchange) is None:
            self.transport.pause_reading()  # until `_begin_next` has read some of it
        elif exchange.head.websocket:
            exchange.abort(bad_request("frames came before the handshake was answered"))
        else:
            self._close_after_answer = True
            self._next = b""
            self._phase = _LAST_ANSWER

    # Answers of the gateway.

    def _refuse_head(self, refused: Refused) -> None:
        self._refuse(refused, self._head_buffer.take(), ExchangeRecord(self._parts.clock()), b"")

    def _refuse(self, refused: Refused, raw: bytes, record: ExchangeRecord, rest: bytes) -> None:
        """Answer a request refused before becoming an exchange."""
        provider = self._parts.routes.hint(raw)
        record.method = record.method or ("HEAD" if raw.startswith(b"HEAD ") else "")
        record.provider = provider.name if provider else ""
        record.rejected(refused.rejection, new_request_id())
        self._parts.account.finished(record)
        self._close_after_answer = self._close_after_answer or refused.unreadable
        self._answer_rejection(refused, provider, record, rest, Place(self._parts.portal))

    def reject(self, refused: Refused) -> None:
        """Answer for the exchange, which has ended. The bytes behind a refused handshake are no request."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        self._close_after_answer |= refused.unreadable or (exchange.head.websocket and bool(self._next))
        record, provider = exchange.record, exchange.template.route.provider
        place = self._parts.place_of(record.org, provider, exchange.integration)
        self._answer_rejection(refused, provider, record, b"", place)

    def _answer_rejection(
        self, refused: Refused, provider: Provider | None, record: ExchangeRecord, rest: bytes, place: Place
    ) -> None:
        if self._framing is not None and (self._awaits_continue or not discardable(self._framing)):
            # The rest of this body is not worth reading, or may not come at all (RFC 9110 §10.1.1).
            self._close_after_answer = True
        bodiless, close = record.method == "HEAD", self._close_after_answer
        self.write(
            write_rejection(refused, provider, place, record.request_id, bodiless=bodiless, close=close)
        )
        self._after_own_answer(rest)

    def _after_own_answer(self, rest: bytes) -> None:
        if self._close_after_answer:
            self._linger()
            return
        if self._framing is None:
            self._next += rest
            self._next_request()
        else:
            self._enter(_DISCARD)
            self.transport.resume_reading()
            if rest:
                self._discard_body(rest)
        if self.transport.write_paused:
            self.transport.pause_reading()  # what it asks next may again be for the gateway to answer

    def _read_on(self) -> None:
        """The box takes bytes again: go on with the requests received meanwhile."""
        super()._read_on()
        self._begin_next()

    def displace(self) -> None:
        """End at once for a newer connection: no box has been named on this connection."""
        if self._phase is _HEAD:
            self._close_after_answer = True
            limit = self._parts.limits.max_unidentified_connections
            self._refuse_head(Refused(Rejection.OVERLOADED, f"{limit} connections of unknown boxes"))
        self.close()

    # What the exchange asks for.

    def has_whole_request(self) -> bool:
        """Whether the whole request has arrived."""
        return self._framing is None

    def request_sent(self) -> None:
        """The head and the first part of the body have left: the rest may come."""
        if self._phase is _BODY:
            self.transport.resume_reading()

    def provider_stalled(self) -> None:
        """The provider takes no more for now. A whole request has no more bytes to be read too soon."""
        if self._framing is not None or self._phase is _SPLICED:
            self.transport.pause_reading()

    def responding(self, head: ResponseHead) -> bool:
        """The response begins. Tells whether the connection ends after the response."""
        if head.status == _SWITCHING:
            self._splice()
            return False
        if isinstance(head.framing, UntilCloseFraming) or self._framing is not None:
            # Only the end of the connection ends this answer, or the box is still sending a refused body.
            self._close_after_answer = True
        return self._close_after_answer

    def _splice(self) -> None:
        assert self._exchange is not None
        self._phase = _SPLICED
        self.transport.resume_reading()
        if self._next:
            data, self._next = self._next, b""
            self._exchange.send_body(data)

    def response_complete(self) -> None:
        """The response has left whole."""
        self._exchange = None
        if not self._close_after_answer:
            self._next_request()
        elif self._framing is not None or self._next or self._phase is _LAST_ANSWER:
            self._linger()  # the box is still sending
        else:
            self.close()

    def _next_request(self) -> None:
        self._enter(_IDLE)
        if self._next:
            # From the loop, so that a thousand pipelined requests do not nest.
            self._parts.loop.call_soon(self._begin_next)
        else:
            self.transport.resume_reading()

    def _begin_next(self) -> None:
        if self._phase is _IDLE and self._next and not self.transport.write_paused:
            data, self._next = self._next, b""
            if len(data) <= self._parts.limits.max_head_bytes:
                self.transport.resume_reading()  # `_hold_next` may have paused it
            self._gather_head(data)
            if self._exchange is not None and self._framing is None:
                self.transport.resume_reading()

    def check_deadlines(self, now: float, unix_seconds: float) -> None:
        """End everything past its deadline. Called for every connection about twice a second."""
        self._check_token(unix_seconds)
        limits, phase = self._parts.limits, self._phase
        if self.transport.stalled_seconds(now) > limits.write_stall_seconds:
            self.transport.reset()
        elif self._exchange is not None:
            self._exchange.check_deadline(
                now, body_awaited=self._framing is not None, stalled=self.transport.reading_paused
            )
        elif (limit := phase_seconds(phase, limits)) is not None and now - self._since > limit:
            if phase is _HEAD:
                late = f"its headers took longer than {limit:g} s"
                self._refuse_head(Refused(Rejection.REQUEST_TIMEOUT, late))
            else:
                self.close()
