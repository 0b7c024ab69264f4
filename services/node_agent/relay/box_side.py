"""The end of a spliced connection at the box: held at first, then refused or joined with a data plane."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from services.node_agent.relay.side import Owner, Side

if TYPE_CHECKING:
    from services.node_agent.relay.target_side import TargetSide


class Arrivals(Owner, Protocol):
    """The notices of a box's end to its acceptor."""

    def arrived(self, side: BoxSide) -> None:
        """The event loop has accepted this connection."""


class BoxSide(Side):
    """The box's end. Until the data plane is connected, a single piece is held and no more is read."""

    __slots__ = ("_acceptor", "_held", "connecting", "is_counted", "is_gone")

    def __init__(self, acceptor: Arrivals) -> None:
        super().__init__(acceptor)
        self._acceptor = acceptor
        self._held = b""
        self._pass_on = self._hold
        self.connecting: asyncio.Task[None] | None = None
        self.is_counted = False
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have a data plane found for this connection, or be refused."""
        super().connection_made(transport)
        self._acceptor.arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember the loss for a connection attempt under way."""
        self.is_gone = True
        super().connection_lost(exc)

    def begin(self, target: TargetSide, preface: bytes) -> None:
        """Splice with a data plane: the preface goes first, in one write with the bytes held."""
        held, self._held = self._held, b""
        self.join(target)
        if held:
            self.transport.resume_reading()
        target.transport.write(preface + held)  # after the splice is there, so that a full buffer pauses it

    def _hold(self, data: bytes) -> None:
        self.transport.pause_reading()
        self._held = data

    def answer(self, refusal: bytes) -> None:
        """Send a fixed answer, then end. Bytes sent by the box meanwhile are read and dropped.

        Without the reading, the kernel would end the connection by a reset, and the answer with it.
        """
        if self.is_gone:
            return
        self.transport.write(refusal)
        self.transport.write_eof()
        self._pass_on = _drop
        self._acceptor.side_is_ending(self)
        if self._held:
            self._held = b""
            self.transport.resume_reading()

    def end(self) -> None:
        """End this connection at once, on both sides: by a reset, unless the box has sent nothing yet.

        Without a byte from the box, the box's `connect` may still be under way, and a reset would turn that
        call into an error: a refused connection. An end arrives as an end of an idle connection.
        """
        other, self.other = self.other, None
        if other is not None:
            other.other = None  # the other side's reset is not passed on
            other.abort()
        if self.bytes_in or self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.transport.close()


def _drop(data: bytes) -> None:
    """Take the place of a data plane where there is none."""
