"""The callers of the REST socket, told by the kernel: root and the agent's own user, and no other.

The socket's mode keeps others out already. A socket made by a service manager has the mode of its unit,
and a wider one must not let every program of the node attach boxes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from typing import Any, Final

from shared.deadline_protocol import DeadlineProtocol

logger = logging.getLogger(__name__)

_CREDENTIALS: Final = struct.Struct("3i")
_ROOT: Final = 0
_PROBLEM: Final = json.dumps(
    {
        "type": "about:blank",
        "title": "Not allowed",
        "status": 403,
        "detail": "The agent serves root and its own user alone. Call as one of the two.",
    }
).encode()
REFUSED: Final = (
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


def may_call(user: int, own_user: int) -> bool:
    """Whether programs of this user may attach and detach boxes."""
    return user in {_ROOT, own_user}


class PeerProtocol(DeadlineProtocol):
    """One connection of the REST socket (`SO_PEERCRED`, unix(7)); a stranger's request is answered 403."""

    _stranger: int | None = None
    _has_asked = False
    _has_one_request_left = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, and learn the user behind the connection."""
        super().connection_made(transport)
        user = _user_of(transport.get_extra_info("socket"))
        if not may_call(user, os.geteuid()):
            self._stranger = user

    def shutdown(self) -> None:
        """Uvicorn's call for draining: end, or answer the first request of a connection without one so far.

        A caller has connected and is about to ask. An end would be a failed call, although a restart is one
        that calls wait for.
        """
        if not self._has_asked and self._stranger is None:
            self._has_one_request_left = True
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin a request; while draining, the connection's last."""
        super().on_headers_complete()
        self._has_asked = True
        if self._has_one_request_left:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Answer a stranger without reading the request."""
        if self._stranger is None:
            super().data_received(data)
        elif not self.transport.is_closing():
            logger.warning("a call of user %d to the REST socket was refused", self._stranger)
            self.transport.write(REFUSED)
            self.transport.close()


def _user_of(made: Any) -> int:
    raw: bytes = made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(raw)[1]
    return user
