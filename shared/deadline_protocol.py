"""The HTTP/1.1 protocol of the control plane's and the admin listeners: uvicorn's, with deadlines and a cap.

Uvicorn waits for a request's head and body for ever, and takes as many connections as there are descriptors:
a silent client, or a client sending a byte a minute, would hold both. The meaning of a request does not
belong here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a further request, until the head is whole."""
BODY_SECONDS: Final = 20.0
"""From the head until the body is whole."""
MAX_CONNECTIONS: Final = 1024
"""Of a single listener; a further connection is reset at once."""


class DeadlineProtocol(HttpToolsProtocol):
    """A connection, reset when a request's head or body takes too long to arrive."""

    def __init__(
        self,
        *arguments: Any,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._head_seconds = head_seconds
        self._body_seconds = body_seconds
        self._max_connections = max_connections
        self._deadline: asyncio.TimerHandle | None = None
        self._is_arriving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, or reset the connection when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            transport.abort()
            return
        self._expect(self._head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin the deadline of a further request with its first byte, whatever that byte is."""
        if self._deadline is None and not self._is_arriving and self._is_idle():
            self._expect(self._head_seconds)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin the deadline of the body."""
        self._is_arriving = True
        self._expect(self._body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the deadline: the request is whole."""
        self._is_arriving = False
        self._expect(None)
        super().on_message_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # uvicorn says: never None

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()


def with_deadlines(
    head_seconds: float, body_seconds: float, max_connections: int
) -> Callable[..., DeadlineProtocol]:
    """Give a factory of the protocol with other limits, for `shared.listener.serve`."""

    def make(*arguments: Any, **options: Any) -> DeadlineProtocol:
        return DeadlineProtocol(
            *arguments,
            head_seconds=head_seconds,
            body_seconds=body_seconds,
            max_connections=max_connections,
            **options,
        )

    return make
