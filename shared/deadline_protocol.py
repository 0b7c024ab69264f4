"""The HTTP/1.1 protocol of the control plane's and the admin listeners: uvicorn's, with deadlines and a cap.

Uvicorn waits for a request's head and body for ever, and takes as many connections as there are descriptors:
a client that says nothing, or one byte a minute, would hold both. Where a listener has as many connections as
it may have, the one that has been without a whole request longest makes room for the next: otherwise silent
clients would keep an orchestrator's probe out. What a request means does not belong here.
"""

from __future__ import annotations

import asyncio
import resource
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.cap_log import Fate

HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a further request, until the head is whole."""
BODY_SECONDS: Final = 20.0
"""From the head until the body is whole."""
UNREAD_SECONDS: Final = 60.0
"""How long a client may leave bytes of an answer unread; a closed connection is kept as long at most."""
MAX_CONNECTIONS: Final = 1024
"""Of one listener at a time."""
GIVES_WAY: Final = "run9.gives-way"
"""The ASGI extension that an application calls for a request whose answer it holds back on purpose."""
DESCRIPTOR_SHARE: Final = 4
"""One listener takes a quarter of the process's descriptors at most: two listeners leave half of them."""


@cache
def connection_cap() -> int:
    """Give how many connections one listener may have under the process's limit on descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, soft // DESCRIPTOR_SHARE)


class DeadlineProtocol(HttpToolsProtocol):
    """One connection, reset when a request's head or body takes longer to arrive than it may.

    `at_cap` is told of each connection that is reset because there are too many, and of the cap.

    Attributes:
        is_reset: whether the connection has been reset.
        waits_since: since when there is no whole request, or one that gives way; None while one is answered.
    """

    def __init__(
        self,
        *arguments: Any,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
        unread_seconds: float = UNREAD_SECONDS,
        max_connections: int | None = None,
        at_cap: Callable[[Fate, int], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._head_seconds = head_seconds
        self._body_seconds = body_seconds
        self._unread_seconds = unread_seconds
        self._max_connections = max_connections or connection_cap()
        self._at_cap = at_cap
        self.waits_since: float | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reading_deadline: asyncio.TimerHandle | None = None
        self.is_reset = False
        self._is_arriving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, and reset the one that waits longest where there are too many."""
        super().connection_made(transport)
        # Writing counts as paused while any byte is unread, so that the deadline of reading sees each.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self._max_connections:
            longest_waiting = self._longest_waiting()
            if self._at_cap is not None:
                self._at_cap("refused" if longest_waiting is None else "evicted", self._max_connections)
            (longest_waiting or self).reset()
        self.waits_since = self.loop.time()
        self._expect(self._head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._expect(None)
        self._expect_reading(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin the deadline of a further request with its first byte, whatever that byte is."""
        if self._deadline is None and not self._is_arriving and self._is_idle():
            self._expect(self._head_seconds)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin the deadline of the body."""
        self._is_arriving = True
        extensions: dict[str, Any] = {GIVES_WAY: self._give_way}
        self.scope["extensions"] = extensions
        self._expect(self._body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the deadline: the request is whole."""
        self._is_arriving = False
        if self._reading_deadline is None:  # else the answer before is unread, and the client is waited for
            self.waits_since = None
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for a further request, unless one is there already."""
        super().on_response_complete()
        if self._is_idle():
            self.waits_since = self.loop.time()

    def pause_writing(self) -> None:
        """Count as a connection that waits: the client does not read, and may have asked for much."""
        super().pause_writing()
        self.waits_since = self.loop.time()
        self._expect_reading(self._unread_seconds)

    def resume_writing(self) -> None:
        """Count as busy again, where an answer is under way."""
        super().resume_writing()
        self._expect_reading(None)
        if not self._is_idle():
            self.waits_since = None

    def _give_way(self) -> None:
        """Count as a connection that waits, though its answer is still to come."""
        self.waits_since = self.loop.time()

    def _longest_waiting(self) -> DeadlineProtocol | None:
        """Find the connection that has been without a whole request longest; None where all are busy."""
        waiting = [
            (other.waits_since, number, other)
            for number, other in enumerate(self.connections)
            if isinstance(other, DeadlineProtocol) and other.waits_since is not None and not other.is_reset
        ]
        return min(waiting)[2] if waiting else None

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # uvicorn says: never None

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.reset)

    def _expect_reading(self, seconds: float | None) -> None:
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
        self._reading_deadline = None if seconds is None else self.loop.call_later(seconds, self.reset)

    def reset(self) -> None:
        """Reset the connection, also a closed one whose client has not read the rest."""
        self._deadline, self.is_reset = None, True
        self.transport.abort()


def with_deadlines(
    head_seconds: float,
    body_seconds: float,
    max_connections: int,
    unread_seconds: float = UNREAD_SECONDS,
    at_cap: Callable[[Fate, int], None] | None = None,
) -> Callable[..., DeadlineProtocol]:
    """Give a factory of the protocol with other limits, for `shared.listener.serve`."""

    def make(*arguments: Any, **options: Any) -> DeadlineProtocol:
        return DeadlineProtocol(
            *arguments,
            head_seconds=head_seconds,
            body_seconds=body_seconds,
            unread_seconds=unread_seconds,
            max_connections=max_connections,
            at_cap=at_cap,
            **options,
        )

    return make
