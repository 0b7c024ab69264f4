"""The end of a box connection: the reactions to a stalled, leaving or broken side, and the ways of ending.

The reading is `BoxConnection`'s business; this class knows only an optional exchange, to be notified.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from services.data_plane.core.refused import Refused
from services.data_plane.relay.box.phase import Phase
from services.data_plane.relay.box_side import BoxSide
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.relay.exchange import Exchange
    from services.data_plane.relay.parts import RelayParts
    from shared.box_token import Box

# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_IDLE: Final = Phase.IDLE
_LINGER: Final = Phase.LINGER
_ENDING: Final = Phase.ENDING
_GONE: Final = Phase.GONE


class BoxEndings(BoxSide):
    """The half of a box connection without reading."""

    __slots__ = ("_close_after_answer", "_exchange", "_parts", "_phase", "_since")

    def __init__(self, parts: RelayParts, phase: Phase, box: Box | None) -> None:
        self._parts = parts
        self.box = box  # by which its latest request was admitted, or the connection itself
        self._close_after_answer = False
        self._phase = phase
        self._since = parts.now()  # of the phase; an exchange has deadlines of its own
        self._exchange: Exchange | None = None
        self.load = None  # of its box; None until a request has said which that is

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self._parts.now()

    def _book_proven(self) -> None:
        """Book the connection on its proved box, if any.

        Above the box's limit the connection stays unidentified: its first request is told so.
        """
        if self.box is not None:
            with contextlib.suppress(Refused):
                self._parts.connection_limits.book(self.box, self)

    # A side that takes no more for now.

    def pause_writing(self) -> None:
        """The box takes no more for now."""
        self.transport.stalled(self._parts.now())
        self._parts.connection_limits.stalled(self)
        if self._exchange is not None:
            self._exchange.box_stalled()
        else:
            self.transport.pause_reading()  # or answers of the gateway's own would pile up

    def resume_writing(self) -> None:
        """The box takes bytes again."""
        self.transport.drained()
        self._parts.connection_limits.drained(self)
        if self._exchange is not None:
            self._exchange.box_drained()
        else:
            self._read_on()

    def _read_on(self) -> None:
        self.transport.resume_reading()

    # The box's ending.

    def eof_received(self) -> bool:
        """The box sends no more: the box has left (docs/adr/0005). The transport closes itself."""
        self._box_left()
        return False

    def left_unread(self) -> None:
        """The box has left while not being read. Its last bytes have no reader."""
        self._box_left()
        self.transport.raw.abort()

    def _box_left(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._phase = _ENDING
            exchange.box_gone()

    # The gateway's endings.

    def shutdown(self) -> None:
        """Uvicorn's call for draining: end after the running answer."""
        self._close_after_answer = True
        if self._phase is _IDLE:
            self.transport.close()

    def close(self) -> None:
        """End cleanly once the last bytes have left."""
        self._exchange = None
        self._enter(_ENDING)
        self.transport.close()

    def break_off(self) -> None:
        """End visibly: a clean end would let clients take half an answer for a whole answer."""
        self._exchange = None
        if self._phase is not _GONE:
            self._enter(_ENDING)
            self.transport.reset_once_drained(self._since)

    def abort_exchange(self, refused: Refused, provider: str = "") -> None:
        """Abort the open exchange: with `provider`, or with any provider if empty."""
        exchange = self._exchange
        if exchange is not None and provider in {"", exchange.record.provider}:
            exchange.abort(refused)

    def revoke(self, refused: Refused) -> None:
        """End for good: the box's node or life has ended, or its token did too long ago."""
        self._close_after_answer = True
        if self._exchange is not None:
            self._exchange.abort(refused)
        elif self._phase not in {_LINGER, _ENDING, _GONE}:
            self.close()

    def _check_token(self, unix_seconds: float) -> None:
        """Abort an exchange running beyond its box's token by more than the limit."""
        limit = self._parts.limits.exchange_past_token_seconds
        if self._exchange is None or self.box is None or unix_seconds <= self.box.expires_at + limit:
            return
        self.revoke(Refused(Rejection.BOX_IDENTITY_REQUIRED, f"its token expired {limit:g} s ago"))

    def _linger(self) -> None:
        """Close, but let the box read the answer first."""
        self._exchange = None
        self._enter(_LINGER)
        self.transport.resume_reading()
        self.transport.close_writing()
