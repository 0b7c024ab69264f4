"""One connection from a box: whole requests become exchanges, or are answered by the gateway itself.

Uvicorn makes this protocol for every connection of the box listener (`http=`). `RequestReader` finds where a
request begins and ends, and the exchange decides what becomes of a provider's response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.answers import write_rejection
from services.data_plane.core.framing import BadFraming, UntilCloseFraming
from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.request_reader import ENDINGS, After, Found, Phase, RequestReader, phase_seconds
from services.data_plane.relay.admit import identify, is_warm_up, judge_known_head, judge_new_head
from services.data_plane.relay.box.hand_over import hand_over
from services.data_plane.relay.box_side import BoxSide
from services.data_plane.relay.exchange import Exchange
from services.data_plane.relay.exchange_stage import Stage
from services.data_plane.relay.idle_order import idle_time
from services.data_plane.relay.unsent_requests import account_for_refusal, answer_newcomer, answer_warm_up
from services.data_plane.relay.wire.transport import BoxTransport
from shared.rejections import Place, Rejection

if TYPE_CHECKING:
    import asyncio

    from services.data_plane.core.request_template import RequestTemplate
    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.relay.box.hand_over import UvicornParts
    from services.data_plane.relay.parts import RelayParts
    from services.data_plane.relay.ports import Identity
    from shared.box_token import Box
    from shared.providers import Provider

_SWITCHING: Final = 101

# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_IDLE: Final = Phase.IDLE
_FOUND_HEAD: Final = Found.HEAD
_FOUND_BODY: Final = Found.BODY
_FOUND_SPLICED: Final = Found.SPLICED
_NEXT: Final = After.NEXT
_PREPARING: Final = Stage.PREPARING


class BoxConnection(BoxSide):
    """A box's connection."""

    __slots__ = ("_exchange", "_identity", "_parts", "_reader", "_since", "_template", "_uvicorn")

    def __init__(self, parts: RelayParts, uvicorn: UvicornParts, identity: Identity, box: Box | None) -> None:
        self._parts, self._uvicorn, self._identity = parts, uvicorn, identity
        self.box, self.load = box, None  # of the latest request, or as the connection itself has proved
        self._reader = RequestReader(parts.limits.max_head_bytes)
        self._since = parts.now()  # of the reader's phase; an exchange has deadlines of its own
        self._exchange: Exchange | None = None
        self._template: RequestTemplate | None = None

    # What the event loop reports.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        parts, most = self._parts, self._parts.limits.write_buffer_bytes
        self.transport = BoxTransport(transport, most, parts.batch, parts.hang_up_watch, self.left_unread)
        self.write = self.transport.write
        if (full := parts.connection_limits.take_place(self, self._since)) is not None:
            self.write(answer_newcomer(parts, full))
            self.close()
        self._uvicorn.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""
        reader, template = self._reader, self._template
        if template is not None and reader.phase is _IDLE and not reader.held:
            known = template.recognise(data)
            if known is not None:
                head, reader.held, length = known
                self._admit(head, template, length)
                return
        try:
            found, part = reader.feed(data)
        except Refused as refused:
            self._refuse_head(refused)
        except BadFraming as bad:
            self._abandon_request(bad)
        else:
            self._take(found, part)

    def _take(self, found: Found, part: bytes) -> None:
        if found is _FOUND_BODY:
            self._take_body(part)
        elif found is _FOUND_SPLICED:
            assert self._exchange is not None
            self._exchange.send_body(part)
        elif found is _FOUND_HEAD:
            self._admit(part, None, b"")
        elif found is Found.HELD:
            self._bound_held()
        elif found is Found.HEAD_BEGUN:
            self._since = self._parts.now()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it left changes nothing
        """The box has left."""
        self.transport.unwatch()
        self._box_left()
        self._forget()

    def eof_received(self) -> bool:
        """The box sends no more: it has left (docs/adr/0005). The transport closes itself."""
        self._box_left()
        return False

    def left_unread(self) -> None:
        """The box has left while the connection was not read. The bytes that it sent last are dropped."""
        self._box_left()
        self.transport.raw.abort()

    def pause_writing(self) -> None:
        """The box takes no more for now."""
        self.transport.stalled(self._parts.now())
        self._parts.connection_limits.stalled(self)
        if self._exchange is not None:
            self._exchange.box_stalled()
        else:
            self.transport.pause_reading()  # or the gateway's own responses would pile up

    def resume_writing(self) -> None:
        """The box takes bytes again."""
        self.transport.drained()
        self._parts.connection_limits.drained(self)
        if self._exchange is not None:
            self._exchange.box_drained()
        else:
            self.transport.resume_reading()
            self._begin_next()

    def _box_left(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._reader.end(Phase.ENDING)
        if exchange is not None:
            exchange.box_gone()

    def _forget(self) -> None:
        self._reader.enter(Phase.GONE)
        self._parts.connection_limits.discard(self)
        self._uvicorn.server_state.connections.discard(self)

    # Requests.

    def _admit(self, raw: bytes, template: RequestTemplate | None, length: bytes) -> None:
        """Judge a whole head: the template's with another `length`, or a new one without a template."""
        record, parts, reader = ExchangeRecord(self._parts.clock()), self._parts, self._reader
        try:
            if template is not None:
                judge_known_head(parts, reader, template, length)
            else:
                self._template = template = judge_new_head(parts, reader, raw, record)
                if template is None:
                    self._hand_over(raw)
                    return
                length = template.first_length
            self._serve(template, length, record)
        except Refused as refused:
            self._refuse(refused, raw, record)

    def _hand_over(self, raw: bytes) -> None:
        """Let uvicorn's protocol answer this request; raises `Refused`."""
        self.transport.resume_reading()
        framing, rest = self._reader.framing, self._reader.held
        hand_over(self.transport.raw, self._uvicorn, self._identity, raw, framing, rest)
        self._forget()

    def _serve(self, template: RequestTemplate, length: bytes, record: ExchangeRecord) -> None:
        parts, reader = self._parts, self._reader
        if is_warm_up(template, reader, record):
            self.write(answer_warm_up(parts, record, close=reader.must_close))
            self._after_own_response()
            return
        self.box = box = identify(self._identity, reader, template, record)
        load = parts.connection_limits.book(box, self)
        exchange = Exchange(parts, self, load, template, length, record)
        parts.connection_limits.begin_exchange(load, self)
        self._exchange, body = exchange, b""
        try:
            body = reader.await_response()
        except BadFraming as bad:
            self._abandon_request(bad)
        if reader.held:
            self._bound_held()
        if exchange.stage is _PREPARING:  # a body that breaks the rules has ended it
            exchange.start(body)

    def _take_body(self, part: bytes) -> None:
        reader, exchange = self._reader, self._exchange
        if reader.held:
            self._bound_held()
        if exchange is None:
            self._go_on(reader.end_discarded_body())
            return
        exchange.send_body(part)
        if not reader.is_whole and exchange.unsent_bytes >= self._parts.limits.write_buffer_bytes:
            self.transport.pause_reading()

    def _bound_held(self) -> None:
        """Hold no more than a head of the next request; the connection ends with the response otherwise.

        A box whose request is whole is always read, to see it leave (RFC 9112 §9.3.2).
        """
        if not self._reader.holds_too_much:
            return
        if (exchange := self._exchange) is None:
            self.transport.pause_reading()  # until `_begin_next` has read some of it
        elif exchange.head.websocket:
            exchange.abort(bad_request("frames came before the handshake was answered"))
        else:
            self._reader.hold_no_more()

    def _abandon_request(self, bad: BadFraming) -> None:
        """End with this request: no byte after its broken body can be read as a request."""
        self._reader.must_close = True
        if self._exchange is not None:
            self._exchange.abort(bad_request(str(bad)))
        else:
            self.linger()

    def _next_request(self) -> None:
        self._since = self._parts.now()
        if self._reader.held:
            # From the loop, so that a thousand pipelined requests do not nest.
            self._parts.loop.call_soon(self._begin_next)
        else:
            self.transport.resume_reading()

    def _begin_next(self) -> None:
        reader = self._reader
        if reader.phase is _IDLE and reader.held and not self.transport.write_paused:
            if not reader.holds_too_much:
                self.transport.resume_reading()  # `_bound_held` may have paused it
            self.data_received(reader.take_held())
            if self._exchange is not None and reader.is_whole:
                self.transport.resume_reading()

    # Responses of the gateway.

    def _refuse_head(self, refused: Refused) -> None:
        self._refuse(refused, self._reader.take_partial_head(), ExchangeRecord(self._parts.clock()))

    def _refuse(self, refused: Refused, raw: bytes, record: ExchangeRecord) -> None:
        provider = account_for_refusal(self._parts, refused, raw, record)
        self._reader.must_close = self._reader.must_close or refused.unreadable
        self._write_rejection(refused, provider, record, Place(self._parts.portal))

    def reject(self, refused: Refused) -> None:
        """Answer for the exchange, which has ended. The bytes behind a refused handshake are no request."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        reader = self._reader
        reader.must_close |= refused.unreadable or (exchange.head.websocket and bool(reader.held))
        record, provider = exchange.record, exchange.template.route.provider
        place = self._parts.place_of(record.org, provider, exchange.integration)
        self._write_rejection(refused, provider, record, place)

    def _write_rejection(
        self, refused: Refused, provider: Provider | None, record: ExchangeRecord, place: Place
    ) -> None:
        form = {"bodiless": record.method == "HEAD", "close": self._reader.begin_own_response()}
        self.write(write_rejection(refused, provider, place, record.request_id, **form))
        self._after_own_response()

    def _after_own_response(self) -> None:
        try:
            after = self._reader.end_own_response()
        except BadFraming as bad:
            self._abandon_request(bad)
            return
        self._go_on(after)
        if after is After.DISCARD:
            self._since = self._parts.now()
            self.transport.resume_reading()
        if after is not After.LINGER and self.transport.write_paused:
            self.transport.pause_reading()  # the next request may again be the gateway's to answer

    def _go_on(self, after: After) -> None:
        if after is _NEXT:
            self._next_request()
        elif after is After.LINGER:
            self.linger()
        elif after is After.CLOSE:
            self.close()

    # What the exchange asks for.

    def has_whole_request(self) -> bool:
        """Whether the whole request has arrived."""
        return self._reader.is_whole

    def request_sent(self) -> None:
        """The head and the first part of the body have left: the rest may come."""
        if self._reader.phase is Phase.BODY:
            self.transport.resume_reading()

    def provider_stalled(self) -> None:
        """The provider takes no more for now. A whole request has no more bytes to be read too soon."""
        if not self._reader.is_whole or self._reader.phase is Phase.SPLICED:
            self.transport.pause_reading()

    def responding(self, head: ResponseHead) -> bool:
        """The response begins. Tells whether the connection ends after the response."""
        if head.status != _SWITCHING:
            until_close = isinstance(head.framing, UntilCloseFraming)
            return self._reader.begin_response(ends_with_connection=until_close)
        assert self._exchange is not None
        held = self._reader.splice()
        self.transport.resume_reading()
        if held:
            self._exchange.send_body(held)
        return False

    def response_complete(self) -> None:
        """The response has left whole."""
        self._exchange = None
        self._go_on(self._reader.end_response())

    # Endings.

    def shutdown(self) -> None:
        """End after the response that is under way: uvicorn drains the process."""
        self._reader.must_close = self._parts.draining = True
        if self._reader.phase is _IDLE:
            self.close()

    def close(self) -> None:
        """End cleanly once the last bytes have left."""
        self._end(Phase.ENDING)
        self.transport.close()

    def break_off(self) -> None:
        """End visibly: a clean end would let clients take half a response for a whole response."""
        if self._reader.phase is not Phase.GONE:
            self._end(Phase.ENDING)
            self.transport.reset_once_drained(self._since)

    def linger(self) -> None:
        """Close, but let the box read the last bytes first."""
        self._end(Phase.LINGER)
        self.transport.resume_reading()
        self.transport.close_writing()

    def _end(self, phase: Phase) -> None:
        self._exchange = None
        self._reader.end(phase)
        self._since = self._parts.now()

    def abort_exchange(self, refused: Refused, provider: str = "") -> None:
        """Abort the open exchange: with `provider`, or with any provider if empty."""
        if (exchange := self._exchange) is not None and provider in {"", exchange.record.provider}:
            exchange.abort(refused)

    def revoke(self, refused: Refused) -> None:
        """End for good: the box's node or life has ended, or its token did too long ago."""
        self._reader.must_close = True
        if self._exchange is not None:
            self._exchange.abort(refused)
        elif self._reader.phase not in ENDINGS:
            self.close()

    def idle_since(self) -> float | None:
        """Give the time since which no request is under way; None for a busy or a new connection."""
        phase, is_new, is_sending = self._reader.phase, self._template is None, self.transport.is_sending
        return idle_time(phase, self._since, self._parts.now(), is_new=is_new, is_sending=is_sending)

    def displace(self, refused: Refused) -> None:
        """End at once for a newer connection; a begun request is answered by `refused`."""
        if self._reader.phase is Phase.HEAD:
            self._reader.must_close = True
            self._refuse_head(refused)
        self._end(Phase.ENDING)
        self.transport.close_early()

    def check_deadlines(self, now: float, unix_seconds: float) -> None:
        """End everything past its deadline. Called for every connection about twice a second."""
        limits, phase, box = self._parts.limits, self._reader.phase, self.box
        if self._exchange is not None and box is not None:
            past = unix_seconds - box.expires_at
            if past > limits.exchange_past_token_seconds:
                self.revoke(Refused(Rejection.BOX_IDENTITY_REQUIRED, f"its token expired {past:.0f} s ago"))
        if self.transport.stalled_seconds(now) > limits.write_stall_seconds:
            self.transport.reset()
        elif self._exchange is not None:
            self._exchange.check_deadline(
                now, body_awaited=not self._reader.is_whole, stalled=self.transport.reading_paused
            )
        elif (limit := phase_seconds(phase, limits)) is not None and now - self._since > limit:
            if phase is Phase.HEAD:
                late = f"its headers took longer than {limit:g} s"
                self._refuse_head(Refused(Rejection.REQUEST_TIMEOUT, late))
            else:
                self.close()
