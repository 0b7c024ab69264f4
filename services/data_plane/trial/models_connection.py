"""One connection to a provider that carries one request, and a bounded read of the one answer to it.

It cuts heads and finds the body's end by the relay's own rules. What it gives to the outside is a head, a
body of limited size, or a sentence on why there is none; that sentence holds no byte of the provider's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from services.data_plane.core.framing import (
    NOT_ENDED,
    BadFraming,
    ChunkedFraming,
    Framing,
    UntilCloseFraming,
)
from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.response_head import (
    BadResponse,
    ResponseHead,
    check_incomplete_response,
    cut_response_head,
)
from services.data_plane.relay.upstream_connection import MAX_INTERIM_HEADS

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits

MAX_BODY_BYTES: Final = 512 * 1024
"""Of a list of models; parsing one of this size holds the process up for a few milliseconds."""
_FIRST_SUCCESS, _FIRST_REDIRECT = 200, 300
REFUSALS: Final = frozenset({401, 403})
"""Their bodies tell what was refused."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why there is no whole answer, as a sentence."""

    detail: str


LOST: Final = Broken("The connection broke off.")
TOO_LARGE: Final = Broken("The list of models is too long to be read here.")


class ModelsConnection(asyncio.Protocol):
    """The connection. `head` and `body` are done when they are there, or never will be.

    `limits` bound the answer's head, as for a box's request.
    """

    _transport: asyncio.Transport

    def __init__(self, limits: RelayLimits) -> None:
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[ResponseHead | Broken] = loop.create_future()
        self.body: asyncio.Future[bytes | Broken] = loop.create_future()
        self._heads = HeadBuffer(limits.max_head_bytes, check_incomplete_response)
        self._max_fields = limits.max_head_fields
        self._interim_heads = 0
        self._framing: Framing | None = None
        self._received = bytearray()

    def send(self, request: bytes) -> None:
        """Send a GET request: its head is all of it."""
        self._transport.write(request)

    def abort(self) -> None:
        """Leave at once; nothing is ever put back for others to use."""
        self._transport.abort()

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        if not self.head.done():
            self._gather(data)
        elif not self.body.done():
            self._take(data)
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection is the end of the answer only where nothing else would tell it."""
        if exc is None and self.head.done() and isinstance(self._framing, UntilCloseFraming):
            self._end(bytes(self._received))
        else:
            self._fail(LOST)

    def _gather(self, data: bytes) -> None:
        """Collect heads until the final one is whole (RFC 9110 §15.2)."""
        while data:
            try:
                found = self._heads.feed(data)
                if found is None:
                    return
                raw, data = found
                head = cut_response_head(raw, b"GET", self._max_fields)
            except (HeadTooLarge, BadResponse):
                self._fail(Broken("What answers there does not speak proper HTTP."))
                return
            if not head.interim:
                self._begin(head, data)
                return
            self._interim_heads += 1
            if self._interim_heads > MAX_INTERIM_HEADS:
                self._fail(Broken("The endpoint sends interim answers without end."))
                return

    def _begin(self, head: ResponseHead, rest: bytes) -> None:
        if not self.head.done():
            self.head.set_result(head)
        tells = _FIRST_SUCCESS <= head.status < _FIRST_REDIRECT or head.status in REFUSALS
        if head.framing is None or not tells:
            self._end(b"")
            return
        self._framing = head.framing
        if isinstance(self._framing, ChunkedFraming):
            self._framing.spans = []
        if rest:
            self._take(rest)

    def _take(self, data: bytes) -> None:
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming:
            self._fail(LOST)
            return
        if isinstance(self._framing, ChunkedFraming):
            for start, stop in self._framing.spans or ():
                self._received += data[start:stop]
        else:
            self._received += data if end == NOT_ENDED else data[:end]
        if len(self._received) > MAX_BODY_BYTES:
            self._fail(TOO_LARGE)
        elif end != NOT_ENDED:
            self._end(bytes(self._received))

    def _end(self, body: bytes) -> None:
        if not self.body.done():
            self.body.set_result(body)

    def _fail(self, broken: Broken) -> None:
        if not self.head.done():
            self.head.set_result(broken)
        if not self.body.done():
            self.body.set_result(broken)
        self._transport.abort()
