"""A request and its response: a box connection paired with an upstream connection, from admit to account.

The exchange holds the request, its destination and its outcome; the two connections only know their own
bytes. Its stages are the life of a request: prepare → send → relay → account.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from services.data_plane.core.held_response import HeldResponse
from services.data_plane.core.integration import CompiledIntegration, NotReady, refused_because
from services.data_plane.core.key_scan import KeyFound, KeyScan
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_rules import is_repeatable
from services.data_plane.core.response_rules import (
    FIRST_REDIRECT,
    SWITCHING,
    check_response,
    is_held,
    prepare_response,
    tells_key,
)
from services.data_plane.core.usage.tap import BATCH_BYTES, Tapped, UsageTap, tap_for
from services.data_plane.relay.exchange_stage import Stage, silence_limit
from services.data_plane.relay.parts import new_request_id
from services.data_plane.relay.splice import Splice
from services.data_plane.relay.upstream.connection import ResponseUser
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord, Outcome
    from services.data_plane.core.request_template import RequestTemplate
    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.relay.box_side import BoxSide
    from services.data_plane.relay.connection_limits import BoxLoad
    from services.data_plane.relay.parts import RelayParts
    from services.data_plane.relay.upstream.connection import UpstreamConnection
    from services.data_plane.relay.wire.transport import BoxTransport

_OK: Final = 200

# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_PREPARING: Final = Stage.PREPARING
_SENT: Final = Stage.SENT
_ANSWERING: Final = Stage.ANSWERING
_SPLICED: Final = Stage.SPLICED
_ENDED: Final = Stage.ENDED


class Exchange(ResponseUser):
    """A request of a box. Made by the box connection once the request is admitted."""

    __slots__ = (
        *("_box_side", "_held", "_length", "_parts", "_quiet_since", "_scan", "_seen_bytes", "_spans"),
        *("_tap_wanted", "_task", "_unsent", "_upstream", "head", "integration", "load", "record", "stage"),
        *("_splice", "started", "tapped", "template"),
    )

    def __init__(
        self,
        parts: RelayParts,
        box_side: BoxSide,
        load: BoxLoad,
        template: RequestTemplate,
        length: bytes,
        record: ExchangeRecord,
    ) -> None:
        self.load, self._length, self.record = load, length, record
        self.template, self.head = template, template.head
        self.stage = _PREPARING
        self.started = parts.now()
        self._quiet_since, self._seen_bytes = self.started, 0
        self.integration: CompiledIntegration | None = None
        self._parts, self._box_side = parts, box_side
        self._upstream: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._scan: KeyScan | None = None
        self._held: HeldResponse | None = None
        self._tap_wanted = False
        self.tapped: Tapped | None = None
        self._spans: list[tuple[int, int]] | None = None  # of payload, in the latest piece of a chunked error
        self._splice: Splice | None = None  # of a WebSocket

    # Prepare and send.

    def start(self, body: bytes) -> None:
        """Send the request, with the received part of its body; at once when everything is at hand."""
        if body:
            self.send_body(body)
            if self.stage is _ENDED:
                return
        found = self._look_up()
        if isinstance(found, CompiledIntegration):
            if (upstream := self._parts.pool.take(found)) is not None:
                self._send(found, upstream)
                return
        elif found is not NotReady.LOADING:
            self.refuse(refused_because(found))
            return
        self._task = self._parts.tasks.start(self._prepare(found), "prepare an exchange")

    def _look_up(self) -> CompiledIntegration | NotReady:
        return self._parts.table.look_up(self.record.org, self.template.route.provider.name)

    async def _prepare(self, found: CompiledIntegration | NotReady, *, fresh: bool = False) -> None:
        """Bring the secret and a connection, a `fresh` connection after a pooled connection has failed."""
        record, provider = self.record, self.template.route.provider.name
        try:
            integration, upstream = await self._parts.bring_connection(record, provider, found, fresh=fresh)
        except Refused as refused:
            self.refuse(refused)
            return
        self._task = None
        if self.stage is _PREPARING:
            self._send(integration, upstream)
        else:
            self._parts.pool.put_back(upstream, self._parts.now())

    def _send(self, integration: CompiledIntegration, upstream: UpstreamConnection) -> None:
        box_side, record = self._box_side, self.record
        self.integration, self._upstream = integration, upstream
        self.stage = _SENT
        record.reused, record.secret_version = upstream.used, integration.secret_version
        self._quiet_since = now = self._parts.now()
        record.seconds_to_send = now - self.started
        data = self.template.prepare(integration, self._length, self._unsent)
        self._unsent.clear()
        if box_side.transport.write_paused:
            upstream.pause()
        box_side.request_sent()
        upstream.begin(self, self.head.method, data)  # last: a stall at once stops the reading of the box

    def send_body(self, data: bytes) -> None:
        """Pass a piece of the request's body; kept while there is no connection yet."""
        record = self.record
        record.bytes_up += len(data)
        if record.bytes_up > self._parts.limits.max_body_bytes and self.stage is not _SPLICED:
            # Only a chunked body gets this far: a length was judged with the head.
            too_large = f"more than {self._parts.limits.max_body_bytes} bytes"
            self.abort(Refused(Rejection.BODY_TOO_LARGE, too_large))
        elif self._upstream is not None:
            if self._splice is not None:
                self._splice.take_from_box(data)
            self._upstream.write(data)
        elif self.stage is _PREPARING:
            self._unsent.append(data)

    @property
    def unsent_bytes(self) -> int:
        """How much of the body waits for a connection: everything received, until there is a connection."""
        return self.record.bytes_up if self.stage is _PREPARING else 0

    def check_deadline(self, now: float, *, body_awaited: bool, stalled: bool) -> None:
        """Abort the exchange when past a deadline; end a drained WebSocket between its turns.

        `body_awaited`: the request is not whole yet. `stalled`: the box is not read for a full provider.
        """
        moved_bytes = self.record.bytes_up + (self._upstream.passed_bytes if self._upstream else 0)
        if moved_bytes != self._seen_bytes:
            self._seen_bytes, self._quiet_since = moved_bytes, now
        if self.stage is _PREPARING:
            return  # the secret's read and the dial have deadlines of their own
        stage, limits = self.stage, self._parts.limits
        if self._close_splice("spliced", now):
            return
        if self._held is not None:
            if now - self._quiet_since > limits.write_stall_seconds:
                self._settle_held(self._held)
            return
        limit, rejection = silence_limit(stage, limits, body_awaited=body_awaited, stalled=stalled)
        if now - self._quiet_since > limit:
            self.abort(Refused(rejection, f"nothing for {limit:g} s"))

    # What the upstream connection reports.

    def interim(self, head: ResponseHead, raw: bytes) -> None:
        """Pass a 1xx answer on; an HTTP/1.0 client knows none (RFC 9110 §15.2)."""
        integration = self.integration
        assert integration is not None
        if self.head.minor and not tells_key(head, raw, integration):
            self._box_side.write(prepare_response(head, integration, close=False))

    def respond(self, head: ResponseHead, raw: bytes) -> bytes | None:
        """Judge the final head. Gives its bytes for the box, or None when the gateway answers instead."""
        integration, record = self.integration, self.record
        assert integration is not None
        self._quiet_since = now = self._parts.now()
        record.seconds_to_head = now - self.started
        key_told = tells_key(head, raw, integration)
        if not key_told:
            record.request_id = head.request_id
        if is_held(head, self.head, integration.provider):
            self._held = HeldResponse(head, is_websocket=self.head.websocket, key_told=key_told)
            self._spans = head.payload_spans()
            return b""
        return self._begin(head, integration, key_told=key_told)

    def _begin(self, head: ResponseHead, integration: CompiledIntegration, *, key_told: bool) -> bytes | None:
        """Begin the response with the provider's head, as `respond` does for one that is not held."""
        record, status = self.record, head.status
        try:
            check_response(head, integration, self.head, key_told=key_told)
        except Refused as refused:
            self.refuse(refused, upstream_status=status)
            return None
        record.status = status
        self.stage = _SPLICED if status == SWITCHING else _ANSWERING
        self._splice = Splice() if status == SWITCHING else None
        if status >= FIRST_REDIRECT:
            self._scan = KeyScan(integration.key_search.spellings)
            self._spans = head.payload_spans()
        elif status == _OK and self.head.method == b"POST":
            self._tap_wanted = self._parts.usage_tap
        elif self._parts.usage_tap:
            self._tap_wanted, self.tapped = tap_for(
                status, self.head.method, self.template.route.label, head.kept, self.template.route.provider
            )
        return prepare_response(head, integration, self.head.host, close=self._box_side.responding(head))

    def relay(self, data: bytes, head: bytes = b"") -> None:
        """Pass a piece of the answer's body or of a splice unchanged; `head` goes out in the same write."""
        if self._held is not None:
            if not self._held.take(data, self._spans):
                self._settle_held(self._held)
            return
        if self._scan is not None:
            try:
                data = self._scan.feed(data, self._spans)
            except KeyFound:
                self._break_off("upstream_broke")
                return
        if self._splice is not None:
            self._splice.take_from_provider(data)
        if head:
            self._box_side.write(head + data)
        else:
            self._box_side.transport.write_now(data)
        if self._tap_wanted:
            if self.tapped is None and len(data) < BATCH_BYTES:
                self.tapped = data  # mostly all there is
            else:
                self._tap().take(data)

    def _tap(self) -> UsageTap:
        if not isinstance(self.tapped, UsageTap):
            self.tapped = UsageTap(self.tapped or b"")
        return self.tapped

    def passthrough_target(self) -> tuple[BoxTransport | None, UsageTap | None]:
        """Give the destination of whole chunks without inspection, and the tap beside."""
        if self._scan is not None or self._held is not None:
            return None, None
        return self._box_side.transport, self._tap() if self._tap_wanted else None

    def response_ended(self, *, reusable: bool) -> None:
        """The response is whole."""
        parts, box_side = self._parts, self._box_side
        upstream = self._release()
        assert upstream is not None
        now = parts.now()
        if reusable and box_side.has_whole_request():
            upstream.resume()
            parts.pool.put_back(upstream, now)
        else:
            upstream.abort()
        if self._held is not None and not self._settle_held(self._held):
            return
        if self._scan is not None:
            box_side.write(self._scan.finish())
        self._end("answered", now)
        box_side.response_complete()

    def upstream_lost(self, *, response_begun: bool) -> None:
        """The provider's connection ended in the wrong place."""
        reused = self._release() is not None and self.record.reused
        if self._held is not None and not self._settle_held(self._held):
            return
        if self.stage is _SPLICED:
            self._end("spliced")
            self._box_side.close()
        elif self.stage is _ANSWERING:
            self._break_off("upstream_broke")
        elif reused and not response_begun and is_repeatable(self.head, self._length):
            # Nothing of the answer came over a connection that had been idle: it was dead before we wrote.
            self.stage = _PREPARING
            self.record.reused = False
            repeating = self._prepare(self._look_up(), fresh=True)
            self._task = self._parts.tasks.start(repeating, "repeat an exchange")
        else:
            self.refuse(Refused(Rejection.UPSTREAM_UNREACHABLE, "it closed the connection without an answer"))

    def upstream_stalled(self) -> None:
        """The provider takes no more of the body for now."""
        self._box_side.provider_stalled()

    def upstream_drained(self) -> None:
        """The provider takes bytes again."""
        self._box_side.transport.resume_reading()

    # What the box connection reports.

    def box_stalled(self) -> None:
        """The box takes no more of the answer for now."""
        if self._upstream is not None:
            self._upstream.pause()

    def box_drained(self) -> None:
        """The box takes bytes again."""
        if self._upstream is not None:
            self._upstream.resume()

    def box_gone(self) -> None:
        """The box left: an unread answer would only cost money. A splice passes on the box's last bytes."""
        spliced = self.stage is _SPLICED
        if spliced and (upstream := self._release()) is not None:
            upstream.finish()
        self._let_go()
        self._end("spliced" if spliced else "client_gone")

    # Endings.

    def refuse(self, refused: Refused, upstream_status: int = 0) -> None:
        """Answer for the gateway. Only before the answer's head has left."""
        assert self.stage in {_PREPARING, _SENT}, self.stage
        self._let_go()
        self.record.rejected(refused.rejection, new_request_id())
        self.record.upstream_status = upstream_status
        self._end("rejected")
        self._box_side.reject(refused)

    def _settle_held(self, held: HeldResponse) -> bool:
        """Answer in place of a held response, by as much of it as has come; or pass it on, and give True."""
        assert self.integration is not None
        refused = held.judged(self.integration)
        if refused is not None:
            self.refuse(refused, upstream_status=held.head.status)
            return False
        self._held = None
        if (head := self._begin(held.head, self.integration, key_told=held.key_told)) is None:
            return False
        assert self._scan is not None  # only errors are held
        try:
            self._box_side.write(head + self._scan.feed(held.wire, held.spans))
        except KeyFound:
            self._break_off("upstream_broke")
            return False
        return True

    def abort(self, refused: Refused) -> None:
        """End at once: by a response of the gateway's where none has begun, else as a visible break."""
        if self.stage in {_PREPARING, _SENT}:
            self.refuse(refused)
        elif self.stage is not _ENDED:
            self.record.code = refused.rejection.code
            if not self._close_splice("cut"):
                self._break_off("cut")

    def _close_splice(self, outcome: Outcome, now: float | None = None) -> bool:
        """End a WebSocket by Close frames in a process that ends: with `now`, only between two turns."""
        upstream, splice = self._upstream, self._splice
        if upstream is None or splice is None or not self._parts.draining:
            return False
        is_due = now is None or splice.is_between_turns(now, self.tapped)
        if not is_due or not splice.close(upstream, self._box_side):
            return False
        self._release()
        self._end(outcome)
        self._box_side.close() if now is None else self._box_side.linger()
        return True

    def _break_off(self, outcome: Outcome) -> None:
        self._let_go()
        self._end(outcome)
        self._box_side.break_off()

    def _let_go(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task(self._parts.loop):
            self._task.cancel()
        self._task = None
        if (upstream := self._release()) is not None:
            upstream.abort()

    def _release(self) -> UpstreamConnection | None:
        """Let go of the upstream connection, after reading its byte counts."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self.record.bytes_down = upstream.passed_bytes
        return upstream

    def _end(self, outcome: Outcome, now: float | None = None) -> None:
        self.stage = _ENDED
        record, parts = self.record, self._parts
        record.outcome = outcome
        record.seconds = (parts.now() if now is None else now) - self.started
        parts.connection_limits.end_exchange(self.load, self._box_side)
        key = self.integration.key_search if self.integration is not None else parts.key_of(record)
        parts.account.finished(record, self.tapped, key)
