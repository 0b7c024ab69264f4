"""Hands a box connection to uvicorn's own protocol for one request: the status page, the set-up script, 404.

That protocol serves the FastAPI application. It gets exactly this request and closes afterwards, so that the
next request on a new connection is judged by the relay again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_THIS_CONNECTION_ONLY: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"http2-settings"}
)


@dataclass(frozen=True, slots=True)
class UvicornParts:
    """The four arguments that uvicorn gives to a protocol class."""

    config: Config
    server_state: ServerState
    app_state: dict[str, Any]
    _loop: asyncio.AbstractEventLoop | None = None


class _LastRequest(HttpToolsProtocol):
    """Uvicorn's protocol for one request: what comes after it is thrown away, as its answer says."""

    _whole = False

    def data_received(self, data: bytes) -> None:
        """Take more of the request."""
        if not self._whole:
            super().data_received(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._whole = True
        super().on_message_complete()


def hand_over(transport: asyncio.Transport, parts: UvicornParts, raw_head: bytes, rest: bytes) -> None:
    """Let uvicorn's protocol take over `transport`, beginning with a head that was already read."""
    protocol = _LastRequest(parts.config, parts.server_state, parts.app_state, parts._loop)  # noqa: SLF001  # uvicorn's name for it
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(_last_request(raw_head) + rest)


def _last_request(raw_head: bytes) -> bytes:
    """Write the head again as the connection's last one (RFC 9112 §9.6)."""
    lines = raw_head[:-4].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].lower() not in _THIS_CONNECTION_ONLY]
    return b"\r\n".join((*kept, b"Connection: close", b"", b""))
