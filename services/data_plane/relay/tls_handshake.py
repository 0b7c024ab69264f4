"""The first moments of a connection on a TLS listener: until the handshake is done, or has taken too long.

The event loop's own way to listen with TLS makes a connection known only after its handshake, so that clients
without a word would be neither counted nor evicted. Here a connection has a place among the unidentified ones
from its first moment. Then the TLS transport goes to the listener's own protocol.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, cast

from services.data_plane.core.refused import Refused
from services.data_plane.relay.box.hand_over import UvicornParts
from services.data_plane.relay.unidentified import Displaceable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from services.data_plane.relay.relay import Relay
    from shared.listener import ProtocolFactory

HandshakeFault = Literal["late", "refused", "left", "displaced"]
FAULTS: Final[tuple[HandshakeFault, ...]] = ("late", "refused", "left", "displaced")
_LAST_RESORT_SECONDS: Final = 5.0
"""The event loop's own deadline comes later by this: an aborted connection ends the handshake before."""


class HandshakeFaults:
    """The handshakes of a process without success.

    `late`: not done by the deadline. `refused`: by the client or by this end, for example for a certificate.
    `left`: the connection ended. `displaced`: closed for a newer connection.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))

    @property
    def by_fault(self) -> Mapping[str, int]:
        """The counts so far."""
        return self._counts

    def note(self, fault: HandshakeFault) -> None:
        """Count a handshake."""
        self._counts[fault] += 1


def tls_protocol_factory(
    relay: Relay, inner: ProtocolFactory, context: Callable[[], ssl.SSLContext], faults: HandshakeFaults
) -> ProtocolFactory:
    """Give the argument for uvicorn's `http=`, for a listener with TLS.

    `inner` makes the protocol of a connection after its handshake; `context` gives the TLS for a new one.
    """

    def make(**parts: Any) -> asyncio.Protocol:  # uvicorn's four arguments
        uvicorn = UvicornParts(**parts)
        relay.connection_limits.count_listener(uvicorn.server_state.connections)
        made = TlsHandshake(relay, uvicorn, lambda: inner(**parts), context, faults)
        return cast("asyncio.Protocol", made)

    return make


class TlsHandshake(Displaceable):
    """A connection in its handshake."""

    transport: asyncio.Transport

    def __init__(
        self,
        relay: Relay,
        uvicorn: UvicornParts,
        serve: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        faults: HandshakeFaults,
    ) -> None:
        self._parts = relay.parts
        self._uvicorn = uvicorn
        self._serve = serve
        self._context = context
        self._faults = faults
        self._fault: HandshakeFault | None = None
        self._received = b""
        self._is_at_end = self._is_lost = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, and begin the handshake."""
        parts = self._parts
        self.transport = cast("asyncio.Transport", transport)
        try:
            parts.connection_limits.make_room()
        except Refused:
            self.transport.abort()
            return
        self.transport.pause_reading()  # what comes belongs to the handshake, which begins in a task
        self._uvicorn.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes
        parts.connection_limits.unidentified.add(self, parts.now())
        self._timer = parts.loop.call_later(parts.limits.tls_handshake_seconds, self._end, "late")
        parts.tasks.start(self._shake_hands(), "TLS handshake of a box connection")

    # After the handshake, until the task goes on.

    def data_received(self, data: bytes) -> None:
        """Keep the first bytes."""
        self._received += data

    def eof_received(self) -> bool:
        """Remember the end of the client's sending."""
        self._is_at_end = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it left changes nothing
        """Remember the loss."""
        self._is_lost = True

    # From other parts.

    def shutdown(self) -> None:
        """Uvicorn's call for draining."""
        self._end("displaced")

    def displace(self, refused: Refused) -> None:  # noqa: ARG002  # no answer can be read before the handshake
        """End at once for a newer connection."""
        self._end("displaced")

    def _end(self, fault: HandshakeFault) -> None:
        self._fault = self._fault or fault
        self.transport.abort()

    async def _shake_hands(self) -> None:
        try:
            secured = await self._parts.loop.start_tls(
                self.transport,
                cast("asyncio.Protocol", self),
                self._context(),
                server_side=True,
                ssl_handshake_timeout=self._parts.limits.tls_handshake_seconds + _LAST_RESORT_SECONDS,
            )
        except ssl.SSLError:
            secured, self._fault = None, self._fault or "refused"
        except OSError:
            secured = None
        finally:
            self._forget()
        if secured is None or self._is_lost or self._fault is not None:
            self._faults.note(self._fault or "left")
            self.transport.abort()
            return
        self._hand_on(secured)

    def _hand_on(self, secured: asyncio.Transport) -> None:
        """Give the TLS transport to the listener's protocol, with everything that has come."""
        protocol = self._serve()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        if self._received:
            protocol.data_received(self._received)
        if self._is_at_end and not protocol.eof_received():
            secured.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._parts.connection_limits.unidentified.discard(self)
        self._uvicorn.server_state.connections.discard(self)
