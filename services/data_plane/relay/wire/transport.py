"""How bytes leave towards a box, and the ways in which its connection can end.

Owns the asyncio transport of a box connection: back-pressure in both directions, and three endings with
different meanings for a client: closed (the answer is whole), lingering (the box may still be sending) and
reset (the answer is not whole).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.data_plane.relay.wire.hang_up_watch import HangUpWatch
    from services.data_plane.relay.wire.write_batch import WriteBatch

SLICE_BYTES: Final = 32 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: the kernel sends RST


class BoxTransport:
    """The transport of a box connection.

    Args:
        transport: asyncio's.
        write_buffer_bytes: more waiting bytes than these are a stall.
        batch: collects the writes of a turn.
        watch: notices the box leaving while not being read.
        left: called then.

    Attributes:
        write: at the end of this turn of the loop.
        put: at once. Only while nothing waits for the turn's end, and until an ending has begun.
    """

    __slots__ = (
        "_batch",
        "_fd",
        "_left",
        "_reset_when_drained",
        "_stalled_at",
        "_stalled_bytes",
        "_transport",
        "_watch",
        "put",
        "reading_paused",
        "write",
        "write_paused",
    )

    def __init__(
        self,
        transport: asyncio.BaseTransport,
        write_buffer_bytes: int,
        batch: WriteBatch,
        watch: HangUpWatch,
        left: Callable[[], None],
    ) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=write_buffer_bytes)
        self._batch = batch
        self._watch = watch
        self._left = left
        self._fd = -1  # while it is watched
        self.write = partial(batch.put, self._transport)
        self.put: Callable[[bytes], None] = self._transport.write
        self.write_paused = False
        self.reading_paused = False
        self._reset_when_drained = False
        self._stalled_at = 0.0
        self._stalled_bytes = 0

    def write_now(self, data: bytes) -> None:
        """Write without waiting for the turn's end: a stream's next piece, which nothing follows soon.

        A turn with a single event would otherwise cost another round of the loop.
        """
        if self._batch.writes:
            self._batch.flush()
        if not self._transport.is_closing():
            self.put(data)

    def _put_in_slices(self, data: bytes) -> None:
        """Write so that sent bytes are freed: the loop keeps the whole of a piece of which a byte waits."""
        for start in range(0, len(data), SLICE_BYTES):
            self._transport.write(data[start : start + SLICE_BYTES])

    @property
    def raw(self) -> asyncio.Transport:
        """The transport itself, for handing over, with everything written."""
        self._batch.flush()
        return self._transport

    @property
    def closing(self) -> bool:
        """Whether an ending has begun."""
        return self._transport.is_closing()

    @property
    def is_sending(self) -> bool:
        """Whether written bytes wait for the box to take them."""
        return self._transport.get_write_buffer_size() > 0

    def pause_reading(self) -> None:
        """Stop reading from the box."""
        if not self.reading_paused and not self._transport.is_closing():
            self.reading_paused = True
            self._transport.pause_reading()
            self._fd = self._transport.get_extra_info("socket").fileno()
            self._watch.add(self._fd, self._left)

    def resume_reading(self) -> None:
        """Read from the box again."""
        if self.reading_paused and not self._transport.is_closing():
            self.reading_paused = False
            self.unwatch()
            self._transport.resume_reading()

    def unwatch(self) -> None:
        """Note that the socket is read again or gone: its number may be another's next."""
        if self._fd >= 0:
            self._watch.discard(self._fd)
            self._fd = -1

    def hold_at_most(self, write_buffer_bytes: int) -> None:
        """Count the box as stalled when more bytes wait than these, at once if so already."""
        self.put = self._transport.write if write_buffer_bytes else self._put_in_slices
        if not self._reset_when_drained and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(high=write_buffer_bytes)

    def stalled(self, now: float) -> None:
        """The event loop's call: the box takes no more for now."""
        self.write_paused = True
        self._stalled_at = now
        self._stalled_bytes = self._transport.get_write_buffer_size()

    def drained(self) -> None:
        """The event loop's call: the box takes bytes again."""
        self.write_paused = False
        if self._reset_when_drained:
            self.reset()

    def stalled_seconds(self, now: float) -> float:
        """How long the box has taken none of the waiting bytes; 0 when nothing waits."""
        waiting = self._transport.get_write_buffer_size()
        if waiting == 0 or waiting != self._stalled_bytes:
            self._stalled_bytes = waiting
            self._stalled_at = now
        return now - self._stalled_at

    def close(self) -> None:
        """End cleanly once the last bytes have left."""
        self._batch.flush()
        self._transport.close()

    def close_early(self) -> None:
        """End cleanly, at once where every byte has left: the clean end of TLS waits for the peer."""
        self._batch.flush()
        if self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()

    def close_writing(self) -> None:
        """End writing, and go on reading (RFC 9112 §9.6).

        Closing while the box still sends would reset the connection and destroy the answer. A TLS connection
        cannot be half closed: its peer learns the answer's end by its length.
        """
        self._batch.flush()
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()

    def reset_once_drained(self, now: float) -> None:
        """End as a visible break: relayed bytes still arrive, then the connection is reset."""
        self._batch.flush()
        if self._transport.is_closing():
            return
        self._reset_when_drained = True
        self._transport.set_write_buffer_limits(high=0)
        if self._transport.get_write_buffer_size():
            self.stalled(now)
        else:
            self.reset()

    def reset(self) -> None:
        """End now, visibly. A plain close would look like the end of the answer to some clients."""
        box_socket = self._transport.get_extra_info("socket")
        if box_socket is not None:
            box_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
