"""One request and its answer: a box connection paired with an upstream connection, from admit to account.

It holds what was asked, where it went and how it ends; the two connections only know their own bytes. Its
stages are the life of a request: prepare → send → relay → account.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from services.data_plane.core.framing import ChunkedFraming
from services.data_plane.core.held_response import HeldResponse
from services.data_plane.core.integration import CompiledIntegration, NotReady, refused_because
from services.data_plane.core.key_scan import KeyFound, KeyScan
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_rules import (
    FIRST_REDIRECT,
    SWITCHING,
    check_response,
    is_held,
    prepare_response,
    tells_key,
)
from services.data_plane.core.usage.tap import BATCH_BYTES, Tapped, UsageTap, tap_for
from services.data_plane.relay.preparation import bring_connection
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord, Outcome
    from services.data_plane.core.head_memo import HeadMemo
    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.relay.box_connection import BoxConnection
    from services.data_plane.relay.box_transport import BoxTransport
    from services.data_plane.relay.relay import Relay
    from services.data_plane.relay.room import BoxLoad
    from services.data_plane.relay.upstream_connection import UpstreamConnection

logger = logging.getLogger(__name__)

# A request that may be sent again when a pooled connection turns out dead (RFC 9110 §9.2.2, §9.3).
_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_OK: Final = 200


class Stage(Enum):
    """Where an exchange is; it only moves forward."""

    PREPARING = auto()  # waiting for the secret or for a connection
    SENT = auto()  # the head has left; the answer's head is not here yet
    ANSWERING = auto()  # the box has the answer's head
    SPLICED = auto()  # a WebSocket: bytes both ways
    ENDED = auto()


# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_PREPARING: Final = Stage.PREPARING
_SENT: Final = Stage.SENT
_ANSWERING: Final = Stage.ANSWERING
_SPLICED: Final = Stage.SPLICED
_ENDED: Final = Stage.ENDED


class Exchange:
    """One request of one box. Made by the box connection once the request is admitted."""

    __slots__ = (
        "_box_connection",
        "_held",
        "_length",
        "_quiet_since",
        "_relay",
        "_scan",
        "_seen_bytes",
        "_spans",
        "_tap_wanted",
        "_task",
        "_unsent",
        "_upstream",
        "head",
        "integration",
        "load",
        "memo",
        "record",
        "stage",
        "started",
        "tapped",
    )

    def __init__(
        self,
        relay: Relay,
        box_connection: BoxConnection,
        load: BoxLoad,
        memo: HeadMemo,
        length: bytes,
        record: ExchangeRecord,
    ) -> None:
        self.load = load
        self.memo = memo
        self.head = memo.head
        self._length = length
        self.record = record
        self.stage = _PREPARING
        self.started = relay.now()
        self._quiet_since = self.started
        self._seen_bytes = 0
        self.integration: CompiledIntegration | None = None
        self._relay = relay
        self._box_connection = box_connection
        self._upstream: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._scan: KeyScan | None = None
        self._held: HeldResponse | None = None
        self._tap_wanted = False
        self.tapped: Tapped | None = None
        # Where the payload stands in the latest piece of a chunked error.
        self._spans: list[tuple[int, int]] | None = None

    # Prepare and send.

    def start(self, body: bytes) -> None:
        """Send the request, with what has arrived of its body; at once when everything is at hand."""
        if body:
            self.send_body(body)
            if self.stage is _ENDED:
                return
        found = self._look_up()
        if isinstance(found, CompiledIntegration):
            upstream = self._relay.pool.take(found)
            if upstream is not None:
                self._send(found, upstream)
                return
        elif found is not NotReady.LOADING:
            self.refuse(refused_because(found))
            return
        self._task = self._relay.tasks.start(self._prepare(found), "prepare an exchange")

    def _look_up(self) -> CompiledIntegration | NotReady:
        return self._relay.table.look_up(self.record.org, self.memo.route.provider.name)

    async def _prepare(self, found: CompiledIntegration | NotReady, *, fresh: bool = False) -> None:
        """Bring the secret and a connection, a `fresh` one where a pooled one has just failed."""
        try:
            integration, upstream = await bring_connection(
                self._relay, self.record.org, self.memo.route.provider.name, found, fresh=fresh
            )
        except Refused as refused:
            self.refuse(refused)
            return
        except Exception:
            # A fault of ours must not leave the box waiting for ever.
            logger.exception("an exchange could not be prepared")
            self.refuse(Refused(Rejection.CONFIG_UNAVAILABLE, "an internal fault of the gateway"))
            return
        self._task = None
        if self.stage is _PREPARING:
            self._send(integration, upstream)
        else:
            self._relay.pool.put_back(upstream, self._relay.now())

    def _send(self, integration: CompiledIntegration, upstream: UpstreamConnection) -> None:
        box_connection, record = self._box_connection, self.record
        self.integration = integration
        self._upstream = upstream
        self.stage = _SENT
        record.reused = upstream.used
        self._quiet_since = now = self._relay.now()
        record.seconds_to_send = now - self.started
        data = self.memo.prepare(integration, self._length, self._unsent)
        self._unsent.clear()
        if box_connection.transport.write_paused:
            upstream.pause()
        box_connection.request_sent()
        upstream.begin(self, data)  # last: it may stall at once, and then the box is not read

    def send_body(self, data: bytes) -> None:
        """Pass a piece of the request's body; kept while there is no connection yet."""
        record = self.record
        record.bytes_up += len(data)
        if record.bytes_up > self._relay.limits.max_body_bytes and self.stage is not _SPLICED:
            # Only a chunked body gets this far: a length was judged with the head.
            too_large = f"more than {self._relay.limits.max_body_bytes} bytes"
            self.cut(Refused(Rejection.BODY_TOO_LARGE, too_large))
        elif self._upstream is not None:
            self._upstream.write(data)
        elif self.stage is _PREPARING:
            self._unsent.append(data)

    @property
    def unsent_bytes(self) -> int:
        """How much of the body waits for a connection: all that has come, until there is one."""
        return self.record.bytes_up if self.stage is _PREPARING else 0

    def check_deadline(self, now: float, *, body_awaited: bool, stalled: bool) -> None:
        """Cut what has taken too long.

        Args:
            now: of the event loop's clock.
            body_awaited: the request is not whole yet.
            stalled: the box is not read, because the provider takes no more.
        """
        moved_bytes = self.record.bytes_up + (self._upstream.passed_bytes if self._upstream else 0)
        if moved_bytes != self._seen_bytes:
            self._seen_bytes, self._quiet_since = moved_bytes, now
        if self.stage is _PREPARING:
            return  # the secret's read and the dial have deadlines of their own
        limits = self._relay.limits
        if self._held is not None:
            if now - self._quiet_since > limits.write_stall_seconds:
                self._refuse_held(self._held)
            return
        limit, rejection = limits.idle_seconds, Rejection.UPSTREAM_TIMEOUT
        if self.stage is _SENT and not body_awaited:
            limit = limits.first_byte_seconds
        elif self.stage is _SENT and stalled:
            limit = limits.write_stall_seconds
        elif self.stage is _SENT:
            limit, rejection = limits.body_progress_seconds, Rejection.REQUEST_TIMEOUT
        if now - self._quiet_since > limit:
            self.cut(Refused(rejection, f"nothing for {limit:g} s"))

    # What the upstream connection reports.

    def interim(self, head: ResponseHead, raw: bytes) -> None:
        """Pass a 1xx answer on; an HTTP/1.0 client knows none (RFC 9110 §15.2)."""
        integration = self.integration
        assert integration is not None
        if self.head.minor and not tells_key(head, raw, integration):
            self._box_connection.write(prepare_response(head, integration, close=False))

    def answer(self, head: ResponseHead, raw: bytes) -> bytes | None:
        """Judge the final head. Gives its bytes for the box, or None when the gateway answers instead."""
        integration, record, status = self.integration, self.record, head.status
        assert integration is not None
        self._quiet_since = now = self._relay.now()
        record.seconds_to_head = now - self.started
        key_told = tells_key(head, raw, integration)
        if not key_told:
            record.request_id = head.request_id
        if is_held(head, self.head):
            self._held = HeldResponse(head, is_websocket=self.head.websocket)
            self._read_payload_of(head)
            return b""
        try:
            check_response(head, integration, self.head, key_told=key_told)
        except Refused as refused:
            self.refuse(refused, upstream_status=status)
            return None
        record.status = status
        self.stage = _SPLICED if status == SWITCHING else _ANSWERING
        if status >= FIRST_REDIRECT:
            self._scan = KeyScan(integration.key_search.spellings)
            self._read_payload_of(head)
        elif status == _OK and self.head.method == b"POST":
            self._tap_wanted = self._relay.usage_tap
        elif self._relay.usage_tap:
            self._tap_wanted, self.tapped = tap_for(
                status, self.head.method, self.memo.route.label, head.kept, self.memo.route.provider
            )
        close = self._box_connection.answering(head)
        return prepare_response(head, integration, close=close)

    def _read_payload_of(self, head: ResponseHead) -> None:
        if isinstance(head.framing, ChunkedFraming):
            head.framing.spans = self._spans = []

    def relay(self, data: bytes, head: bytes = b"") -> None:
        """Pass a piece of the answer's body or of a splice as it came; `head` goes out in the same write."""
        if self._held is not None:
            if not self._held.take(data, self._spans):
                self._refuse_held(self._held)
            return
        if self._scan is not None:
            try:
                data = self._scan.feed(data, self._spans)
            except KeyFound:
                self._break_off("upstream_broke")
                return
        if head:
            self._box_connection.write(head + data)
        else:
            self._box_connection.transport.write_now(data)
        if self._tap_wanted:
            if self.tapped is None and len(data) < BATCH_BYTES:
                self.tapped = data  # mostly all there is
            else:
                self._tap().take(data)

    def _tap(self) -> UsageTap:
        if not isinstance(self.tapped, UsageTap):
            self.tapped = UsageTap(self.tapped or b"")
        return self.tapped

    def way_on(self) -> tuple[BoxTransport | None, UsageTap | None]:
        """What takes whole chunks when nobody must look into them, and the tap beside it.

        To be asked once the answer's head has left, because a chunk does not wait for the turn's end.
        """
        if self._scan is not None or self._held is not None:
            return None, None
        return self._box_connection.transport, self._tap() if self._tap_wanted else None

    def answered(self, *, reusable: bool) -> None:
        """The answer is whole."""
        relay, box_connection = self._relay, self._box_connection
        if self._scan is not None:
            box_connection.write(self._scan.finish())
        upstream = self._release()
        assert upstream is not None
        now = relay.now()
        if reusable and box_connection.request_complete:
            upstream.resume()
            relay.pool.put_back(upstream, now)
        else:
            upstream.abort()
        if self._held is not None:
            self._refuse_held(self._held)
            return
        self._end("answered", now)
        box_connection.answer_complete()

    def upstream_lost(self, *, answer_begun: bool) -> None:
        """The provider's connection ended where it should not."""
        reused = self._release() is not None and self.record.reused
        if self._held is not None:
            self._refuse_held(self._held)
        elif self.stage is _SPLICED:
            self._end("spliced")
            self._box_connection.close()
        elif self.stage is _ANSWERING:
            self._break_off("upstream_broke")
        elif reused and not answer_begun and self._repeatable:
            # Nothing of the answer came over a connection that had been idle: it was dead before we wrote.
            self.stage = _PREPARING
            self.record.reused = False
            self._task = self._relay.tasks.start(
                self._prepare(self._look_up(), fresh=True), "repeat an exchange"
            )
        else:
            self.refuse(Refused(Rejection.UPSTREAM_UNREACHABLE, "it closed the connection without an answer"))

    @property
    def _repeatable(self) -> bool:
        return self.head.method in _REPEATABLE and not self.head.chunked and not int(self._length or b"0")

    def upstream_stalled(self) -> None:
        """The provider takes no more of the body for now."""
        self._box_connection.provider_stalled()

    def upstream_drained(self) -> None:
        """The provider takes bytes again."""
        self._box_connection.transport.resume_reading()

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
        """The box left: nobody pays for an answer that nobody reads. A splice passes on what it had sent."""
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
        self.record.status = refused.rejection.status
        self.record.code = refused.rejection.code
        self.record.upstream_status = upstream_status
        self.record.request_id = self.record.request_id or self._relay.new_request_id()
        self._end("rejected")
        self._box_connection.reject(refused, self)

    def _refuse_held(self, held: HeldResponse) -> None:
        """Answer in place of a response that never passes, by as much of it as has come."""
        assert self.integration is not None
        self.refuse(held.judged(self.integration), upstream_status=held.status)

    def cut(self, refused: Refused) -> None:
        """End at once: with an answer where there is none yet, as a visible break otherwise."""
        if self.stage in {_PREPARING, _SENT}:
            self.refuse(refused)
        elif self.stage is not _ENDED:
            self.record.code = refused.rejection.code
            self._break_off("cut")

    def _break_off(self, outcome: Outcome) -> None:
        self._let_go()
        self._end(outcome)
        self._box_connection.break_off()

    def _let_go(self) -> None:
        if self._task is not None:
            if self._task is not asyncio.current_task(self._relay.loop):
                self._task.cancel()
            self._task = None
        upstream = self._release()
        if upstream is not None:
            upstream.abort()

    def _release(self) -> UpstreamConnection | None:
        """Let go of the upstream connection, which has counted what it passed."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self.record.bytes_down = upstream.passed_bytes
        return upstream

    def _end(self, outcome: Outcome, now: float | None = None) -> None:
        self.stage = _ENDED
        record = self.record
        record.outcome = outcome
        record.seconds = (self._relay.now() if now is None else now) - self.started
        self._relay.leave(self)
