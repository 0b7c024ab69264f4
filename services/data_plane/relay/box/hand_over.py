"""Hands a box connection to uvicorn's own protocol for a single request: status page, set-up script, 404.

Uvicorn's protocol serves the Starlette application. The protocol gets exactly this request and closes
afterwards, so the next request on a new connection is judged by the relay again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.data_plane.core.framing import NOT_ENDED, BadFraming
from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from services.data_plane.core.framing import Framing
    from services.data_plane.relay.ports import Identity

_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_THIS_CONNECTION_ONLY: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"http2-settings"}
)


IDENTITY_STATE: Final = "identity"


@dataclass(frozen=True, slots=True)
class UvicornParts:
    """The four arguments of uvicorn for a protocol class."""

    config: Config
    server_state: ServerState
    app_state: dict[str, Any]
    _loop: asyncio.AbstractEventLoop | None = None


class _LastRequest(HttpToolsProtocol):
    """Uvicorn's protocol for a single request.

    Later bytes are thrown away, because uvicorn would answer them too.
    """

    framing: Framing | None = None

    def begin(self, head: bytes, framing: Framing | None) -> None:
        """Take the head; `framing` counts the following body, if any."""
        self.framing = framing
        super().data_received(head)

    def data_received(self, data: bytes) -> None:
        """Take the bytes of the request's body."""
        if self.framing is None:
            return
        try:
            end = self.framing.feed(data)
        except BadFraming:
            self.transport.close()
            return
        if end != NOT_ENDED:
            data, self.framing = data[:end], None
        super().data_received(data)


def hand_over(
    transport: asyncio.Transport,
    parts: UvicornParts,
    identity: Identity,
    raw_head: bytes,
    framing: Framing | None,
    rest: bytes,
) -> None:
    """Let uvicorn's protocol take over `transport`, beginning with an already read head.

    The application finds the connection's identity as `request.state.identity`.

    Raises:
        Refused: the method is unknown to uvicorn's parser, which would not see a request at all.
    """
    if raw_head.partition(b" ")[0] not in _METHODS:
        raise Refused(Rejection.METHOD_NOT_ALLOWED, "it is unknown here")
    state = parts.app_state | {IDENTITY_STATE: identity}
    protocol = _LastRequest(parts.config, parts.server_state, state, parts._loop)  # noqa: SLF001  # uvicorn's name for it
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.begin(_last_request(raw_head), framing)
    if rest:
        protocol.data_received(rest)


def _last_request(raw_head: bytes) -> bytes:
    """Write the head again as the connection's last head (RFC 9112 §9.6)."""
    lines = raw_head[:-4].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].lower() not in _THIS_CONNECTION_ONLY]
    return b"\r\n".join((*kept, b"Connection: close", b"", b""))
