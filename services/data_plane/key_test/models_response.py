"""The response to the single request of a key test: a bounded read of a list of models.

An upstream connection of the relay's own kind finds heads and the body's end, and has this response as its
user. The outside is given a status, a body of limited size, or a sentence on why there is none; this sentence
holds no byte of the provider's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.data_plane.relay.upstream.connection import ResponseUser

if TYPE_CHECKING:
    from services.data_plane.core.refused import Refused
    from services.data_plane.core.response_head import ResponseHead
    from services.data_plane.core.usage.tap import UsageTap
    from services.data_plane.relay.upstream.connection import UpstreamConnection
    from services.data_plane.relay.wire.transport import BoxTransport

MAX_BODY_BYTES: Final = 512 * 1024
"""Of a list of models; parsing a list of this size holds the process up for a few milliseconds."""
_FIRST_SUCCESS, _FIRST_REDIRECT = 200, 300
REFUSALS: Final = frozenset({401, 403})
"""Their bodies name the reason of the refusal."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why there is no whole response, as a sentence."""

    detail: str


LOST: Final = Broken("The connection broke off.")
TOO_LARGE: Final = Broken("The list of models is too long to be read here.")
NOT_HTTP: Final = Broken("What answers there does not speak proper HTTP.")


class ModelsResponse(ResponseUser):
    """The response. `status` and `body` are done on arrival, or on failure.

    Args:
        connection: sends the request, and is left when the response is over, whole or not.
    """

    def __init__(self, connection: UpstreamConnection) -> None:
        loop = asyncio.get_running_loop()
        self.status: asyncio.Future[int | Broken] = loop.create_future()
        self.body: asyncio.Future[bytes | Broken] = loop.create_future()
        self._connection = connection
        self._spans: list[tuple[int, int]] | None = None
        self._received = bytearray()

    def ask(self, request: bytes) -> None:
        """Send a GET request: the whole request is its head."""
        self._connection.begin(self, b"GET", request)

    def abort(self) -> None:
        """Leave at once; the connection is never put back for others to use."""
        self._connection.abort()

    # What the connection reports.

    def interim(self, head: ResponseHead, raw: bytes) -> None:
        """An interim head says nothing about the key."""

    def respond(self, head: ResponseHead, raw: bytes) -> bytes | None:  # noqa: ARG002  # nothing is passed on
        """Take the status. Only the body of a success or of a refusal is read."""
        self.status.set_result(head.status)
        if not (_FIRST_SUCCESS <= head.status < _FIRST_REDIRECT or head.status in REFUSALS):
            self._end(b"")
            return None
        self._spans = head.payload_spans()
        return b""

    def relay(self, data: bytes, head: bytes = b"") -> None:  # noqa: ARG002  # there is none to send
        """Take a piece of the body."""
        if self._spans is None:
            self._received += data
        else:
            for start, end in self._spans:
                self._received += data[start:end]
        if len(self._received) > MAX_BODY_BYTES:
            self._fail(TOO_LARGE)

    def passthrough_target(self) -> tuple[BoxTransport | None, UsageTap | None]:
        """Every chunk is looked into."""
        return None, None

    def response_ended(self, *, reusable: bool) -> None:  # noqa: ARG002  # it is never used again
        """The response is whole."""
        self._end(bytes(self._received))

    def upstream_lost(self, *, response_begun: bool) -> None:  # noqa: ARG002  # lost is lost
        """The connection ended in the wrong place."""
        self._fail(LOST)

    def refuse(self, refused: Refused, upstream_status: int = 0) -> None:  # noqa: ARG002  # one sentence does
        """The received bytes are no response."""
        self._fail(NOT_HTTP)

    def _end(self, body: bytes) -> None:
        self._connection.abort()
        if not self.body.done():
            self.body.set_result(body)

    def _fail(self, broken: Broken) -> None:
        self._connection.abort()
        if not self.status.done():
            self.status.set_result(broken)
        if not self.body.done():
            self.body.set_result(broken)
