"""The first moments of a connection on a `proxy-tlv` listener: until its preface is whole, and proved or not.

Then the transport goes to a box connection, with the identity proved by the preface and the bytes behind. No
byte of a box can be read as a preface: the node agent writes the preface before the first byte.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.answers import write_rejection, write_warm_up
from services.data_plane.core.proxy_preface import BadPreface, NoPreface, read_preface
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_reader import LINGER_SECONDS
from services.data_plane.core.unidentified import Unidentified
from services.data_plane.relay.box.hand_over import UvicornParts
from services.data_plane.relay.parts import new_request_id
from services.data_plane.relay.unidentified import Displaceable
from shared.rejections import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from services.data_plane.core.proxy_preface import Preface
    from services.data_plane.relay.ports import Identity, PrefaceDoor
    from services.data_plane.relay.relay import Relay
    from shared.box_token import Box
    from shared.listener import ProtocolFactory


def preface_protocol_factory(relay: Relay, door: PrefaceDoor, ready: Callable[[], bool]) -> ProtocolFactory:
    """Give the argument for uvicorn's `http=`, for a listener with a preface on every connection.

    `ready` answers the health checks under a LOCAL preface.
    """

    def make(**parts: Any) -> asyncio.Protocol:  # uvicorn's four arguments
        # A protocol by its methods, which is all that event loops ask for (docs/adr/0014).
        uvicorn = UvicornParts(**parts)
        relay.connection_limits.count_listener(uvicorn.server_state.connections)
        return cast("asyncio.Protocol", PrefaceConnection(relay, uvicorn, door, ready))

    return make


class PrefaceConnection(Displaceable):
    """A connection without a proved box so far."""

    transport: asyncio.Transport

    def __init__(
        self, relay: Relay, uvicorn: UvicornParts, door: PrefaceDoor, ready: Callable[[], bool]
    ) -> None:
        self._relay = relay
        self._uvicorn = uvicorn
        self._door = door
        self._ready = ready
        self._received = b""
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and begin to wait."""
        self.transport = cast("asyncio.Transport", transport)
        parts = self._relay.parts
        try:
            parts.connection_limits.make_room()
        except Refused:
            self.transport.abort()
            return
        self._uvicorn.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes
        parts.connection_limits.unidentified.add(self, parts.now())
        self._timer = parts.loop.call_later(parts.limits.preface_seconds, self._too_late)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._answered:
            return
        self._received += data
        try:
            preface = read_preface(self._received)
        except NoPreface as none:
            self._go_on_unproven(self._door.refuse(str(none), "no_preface"), 0)
        except BadPreface as bad:
            self._refuse(self._door.refuse(str(bad), "bad_preface"))
        else:
            if preface is not None:
                self._take(preface)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it left changes nothing
        """The peer has left."""
        self._forget()

    def shutdown(self) -> None:
        """Uvicorn's call for draining."""
        self.transport.close()

    def displace(self, refused: Refused) -> None:  # noqa: ARG002  # it speaks no HTTP yet
        """End at once for a newer connection."""
        self.transport.abort()

    def _take(self, preface: Preface) -> None:
        if preface.token is None:
            self._answer_health_check()
            return
        try:
            identity = self._door.prove(preface.token)
        except Unidentified as unknown:
            self._go_on_unproven(unknown, preface.size)
        else:
            self._hand_on(identity, identity.box, preface.size)

    def _go_on_unproven(self, why: Unidentified, size: int) -> None:
        """Explain the refusal to an HTTP client behind the preface, in the shape of the called provider."""
        self._hand_on(self._door.unproven(why), None, size)

    def _hand_on(self, identity: Identity, box: Box | None, size: int) -> None:
        """Give the transport to a box connection, and the bytes from `size` on."""
        self._forget()
        rest, self._received = self._received[size:], b""
        protocol = self._relay.connection(self._uvicorn, identity, box)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if rest:
            protocol.data_received(rest)

    def _refuse(self, why: Unidentified) -> None:
        """Answer for whoever speaks HTTP behind a preface whose end is not known, and end."""
        parts = self._relay.parts
        refused, record = Refused(*why.rejection), ExchangeRecord(parts.clock())
        record.rejected(refused.rejection, new_request_id())
        parts.account.finished(record)
        self._answer(write_rejection(refused, None, request_id=record.request_id, bodiless=False, close=True))

    def _answer_health_check(self) -> None:
        if self._ready():
            self._answer(write_warm_up(close=True))
            return
        refused = Refused(Rejection.CONFIG_UNAVAILABLE, "this process is not ready")
        request_id = new_request_id()
        self._answer(write_rejection(refused, None, request_id=request_id, bodiless=False, close=True))

    def _answer(self, answer: bytes) -> None:
        """Write the last bytes, and give the peer a moment to read them: closing at once could reset."""
        self._answered, self._received = True, b""
        self._relay.parts.connection_limits.unidentified.discard(self)
        self._cancel_timer()
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self._relay.parts.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _too_late(self) -> None:
        limit = self._relay.parts.limits.preface_seconds
        self._door.refuse(f"no preface within {limit:g} s", "late_preface")
        self.transport.abort()

    def _forget(self) -> None:
        self._cancel_timer()
        self._relay.parts.connection_limits.unidentified.discard(self)
        self._uvicorn.server_state.connections.discard(self)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
