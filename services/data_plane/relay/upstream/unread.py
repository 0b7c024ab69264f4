"""The bytes of a peer not yet read by the event loop when its connection broke under a write.

A server refusing an upload answers and closes, and because of the unread rest, its kernel resets the
connection. Whether the answer or the failing write is noticed first is chance, and after the write the event
loop reads no more. Until the socket is closed, which is after `connection_lost`, the kernel still has the
answer (RFC 9112 §9.6 tells of just this loss).
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
    """Give the bytes still waiting at the socket of a lost connection; call from `connection_lost` only.

    Empty for a transport without a socket of its own. Never another connection's bytes: event loops close the
    socket after `connection_lost`, and its number is -1 from then on.
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
