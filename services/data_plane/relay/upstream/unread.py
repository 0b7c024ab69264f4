"""What a peer had sent before its connection broke under a write, and the event loop had not read yet.

A server that refuses an upload answers and closes, and because it has not read the rest, its kernel resets
the connection. Whether the answer or the failing write is noticed first is chance, and after the write the
event loop reads no more. Until the socket is closed, which is after `connection_lost`, the kernel still has
the answer (RFC 9112 §9.6 tells of just this loss).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

MAX_UNREAD_BYTES: Final = 256 * 1024
"""Enough for a head and the body of an error. A longer answer stays broken."""


def read_unread(transport: asyncio.BaseTransport) -> bytes:
    """Give what still waits at the socket of a connection that was lost; call from `connection_lost` only.

    Empty for a transport that has no socket of its own. Never another connection's bytes: event loops close
    the socket after `connection_lost`, and its number is -1 from then on.
    """
    peer_socket = transport.get_extra_info("socket")
    data = b""
    if peer_socket is not None:
        with contextlib.suppress(OSError):  # nothing more is there, or the reset is next
            while len(data) < MAX_UNREAD_BYTES and (
                piece := os.read(peer_socket.fileno(), MAX_UNREAD_BYTES - len(data))
            ):
                data += piece
    return data
