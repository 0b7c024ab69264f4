"""Where the requests of one connection begin and end: bytes in, findings out, with no socket and no clock.

The reader keeps the head that is not whole yet, counts the current body, and keeps the beginning of the next
request until the current one is answered (RFC 9112 §9.3.2). It decides when the connection must close.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Final

from services.data_plane.core.framing import NOT_ENDED, discardable
from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import check_incomplete
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.framing import Framing
    from services.data_plane.core.limits import RelayLimits

LINGER_SECONDS: Final = 2.0


class Phase(IntEnum):
    """What the next bytes of the connection are."""

    IDLE = auto()  # a new request
    HEAD = auto()  # more of a head
    BODY = auto()  # more of a request's body
    RESPONSE = auto()  # the next request's beginning: the current request is whole and waits for its response
    LAST_RESPONSE = auto()  # dropped: too much came early, so the connection ends with the current response
    SPLICED = auto()  # a WebSocket's
    DISCARD = auto()  # the rest of a body that the gateway has answered: dropped
    LINGER = auto()  # dropped: the connection closes once the box has had time to read its response
    ENDING = auto()  # dropped: the connection closes once the last bytes have left
    GONE = auto()  # none: the connection is closed, or handed over


class Found(Enum):
    """What a piece of the connection turned out to be."""

    NOTHING = auto()  # bytes to drop, or more of a head that is not whole
    HEAD_BEGUN = auto()  # the first bytes of a head that is not whole
    HEAD = auto()  # a whole head
    BODY = auto()  # a piece of the current body, with its last byte or without
    SPLICED = auto()  # bytes to pass as they came
    HELD = auto()  # the beginning of the next request, which is held


class After(Enum):
    """How the connection goes on after a response."""

    NEXT = auto()  # with the next request
    DISCARD = auto()  # with the rest of a body that is dropped
    LINGER = auto()  # it closes, and the box is still sending
    CLOSE = auto()  # it closes


# Bound once: on Python 3.11 a look-up on an enum class costs as much as a call.
_IDLE: Final = Phase.IDLE
_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY
_RESPONSE: Final = Phase.RESPONSE
_LAST_RESPONSE: Final = Phase.LAST_RESPONSE
_SPLICED: Final = Phase.SPLICED
_DISCARD: Final = Phase.DISCARD
_FOUND_NOTHING: Final = Found.NOTHING
_FOUND_HEAD_BEGUN: Final = Found.HEAD_BEGUN
_FOUND_HEAD: Final = Found.HEAD
_FOUND_BODY: Final = Found.BODY
_FOUND_SPLICED: Final = Found.SPLICED
_FOUND_HELD: Final = Found.HELD

ENDINGS: Final = (Phase.LINGER, Phase.ENDING, Phase.GONE)
_MOVES: Final[dict[Phase, tuple[Phase, ...]]] = {
    Phase.IDLE: (Phase.HEAD, Phase.BODY, Phase.RESPONSE, Phase.DISCARD, Phase.IDLE, *ENDINGS),
    Phase.HEAD: (Phase.BODY, Phase.RESPONSE, Phase.DISCARD, Phase.IDLE, *ENDINGS),
    Phase.BODY: (Phase.RESPONSE, Phase.DISCARD, *ENDINGS),
    Phase.RESPONSE: (Phase.IDLE, Phase.SPLICED, Phase.LAST_RESPONSE, *ENDINGS),
    Phase.LAST_RESPONSE: ENDINGS,
    Phase.SPLICED: ENDINGS,
    Phase.DISCARD: (Phase.IDLE, *ENDINGS),
    Phase.LINGER: ENDINGS,
    Phase.ENDING: ENDINGS,
    Phase.GONE: (Phase.GONE,),
}
"""The phases that may follow each phase."""


class RequestReader:
    """The requests of one connection, in their order.

    Args:
        max_head_bytes: a head ends within this size, and no more than this is held of the next request.

    Attributes:
        phase: what the next bytes are.
        framing: of the current body; None once the request is whole.
        held: what has come of the next request, or behind a head that `feed` has just found.
        must_close: the connection ends with the current response.
    """

    __slots__ = ("_awaits_continue", "_buffer", "_max_head_bytes", "framing", "held", "must_close", "phase")

    def __init__(self, max_head_bytes: int) -> None:
        self.phase = _IDLE
        self.held = b""
        self.must_close = False
        self._max_head_bytes = max_head_bytes
        self._buffer = HeadBuffer(max_head_bytes, check_incomplete)
        self.framing: Framing | None = None
        self._awaits_continue = False

    def enter(self, phase: Phase) -> None:
        """Go into a phase; raises `AssertionError` for a phase that cannot follow the current one."""
        if phase not in _MOVES[self.phase]:
            expected = ", ".join(move.name for move in _MOVES[self.phase])
            raise AssertionError(f"expected {expected} after {self.phase.name}, got {phase.name}")
        self.phase = phase

    def end(self, phase: Phase) -> None:
        """Go into one of `ENDINGS`, if the connection is not gone, and drop what is held."""
        self.held = b""
        if self.phase is not Phase.GONE:
            self.enter(phase)

    @property
    def is_whole(self) -> bool:
        """Whether the whole current request has come."""
        return self.framing is None

    @property
    def holds_too_much(self) -> bool:
        """Whether more of the next request is held than a head may have."""
        return len(self.held) > self._max_head_bytes

    # Bytes.

    def feed(self, data: bytes) -> tuple[Found, bytes]:
        """Take the next bytes.

        Returns:
            What was found, and the bytes that belong to the finding: a whole head, or a piece of a body or
            of a splice. Bytes behind a head or a body are held.

        Raises:
            Refused: the head is too large, or cannot become a head.
            BadFraming: the body does not follow its framing. No byte after it can be read as a request.
        """
        phase = self.phase
        if phase is _SPLICED:
            return _FOUND_SPLICED, data
        if phase is _BODY or phase is _DISCARD:
            return _FOUND_BODY, self._take_body(data)
        if phase is _RESPONSE or (phase is _IDLE and self.held):
            self.held += data
            return _FOUND_HELD, b""
        if phase is _IDLE or phase is _HEAD:
            return self._take_head(data)
        return _FOUND_NOTHING, b""

    def take_held(self) -> bytes:
        """Give up what is held."""
        held, self.held = self.held, b""
        return held

    def take_partial_head(self) -> bytes:
        """Give up what has come of a head that is not whole."""
        return self._buffer.take()

    def _take_head(self, data: bytes) -> tuple[Found, bytes]:
        try:
            found = self._buffer.feed(data)
        except HeadTooLarge:
            too_large = f"more than {self._max_head_bytes} bytes"
            raise Refused(Rejection.HEAD_TOO_LARGE, too_large) from None
        if found is not None:
            head, self.held = found
            return _FOUND_HEAD, head
        if self.phase is _HEAD:
            return _FOUND_NOTHING, b""
        self.enter(_HEAD)
        return _FOUND_HEAD_BEGUN, b""

    def _take_body(self, data: bytes) -> bytes:
        framing = self.framing
        if framing is None:
            raise AssertionError(f"expected a body in {self.phase.name}, got a whole request")
        end = framing.feed(data)
        if end == NOT_ENDED:
            return data
        self.framing = None
        if self.phase is _BODY:
            self.enter(_RESPONSE)
        if end < len(data):
            self.held += data[end:]
        return data[:end]

    # What becomes of the request whose head was found.

    def begin(self, framing: Framing | None, *, awaits_continue: bool) -> None:
        """Take what the head says of its body; `framing` is None for a request without a body."""
        self.framing = framing
        self._awaits_continue = awaits_continue

    def await_response(self) -> bytes:
        """A provider is to answer. Gives what has come of the body; raises `BadFraming`."""
        if self.framing is None:
            self.enter(_RESPONSE)
            return b""
        self.enter(_BODY)
        return self._take_body(self.take_held()) if self.held else b""

    def hold_no_more(self) -> None:
        """Drop what came too early: the connection ends with the current response."""
        self.must_close = True
        self.held = b""
        self.enter(_LAST_RESPONSE)

    def splice(self) -> bytes:
        """Both sides speak another protocol from now on. Gives what has come of it."""
        self.enter(_SPLICED)
        return self.take_held()

    # Responses.

    def begin_own_response(self) -> bool:
        """The gateway answers. Tells whether the connection ends after it."""
        if self.framing is not None and (self._awaits_continue or not discardable(self.framing)):
            # The rest of the body is not worth reading, or may not come at all (RFC 9110 §10.1.1).
            self.must_close = True
        return self.must_close

    def end_own_response(self) -> After:
        """The gateway has answered; raises `BadFraming` for the rest of a body that breaks its framing."""
        if self.must_close:
            return After.LINGER
        if self.framing is None:
            self.enter(_IDLE)
            return After.NEXT
        self.enter(_DISCARD)
        if self.held:
            self._take_body(self.take_held())
        return self.end_discarded_body()

    def end_discarded_body(self) -> After:
        """Tell how the connection goes on after a piece of a body that is dropped."""
        if self.framing is not None:
            return After.DISCARD
        self.enter(_IDLE)
        return After.NEXT

    def begin_response(self, *, ends_with_connection: bool) -> bool:
        """A provider's response begins. Tells whether the connection ends after it."""
        if ends_with_connection or self.framing is not None:
            # No byte ends this response, or the box is still sending a refused body.
            self.must_close = True
        return self.must_close

    def end_response(self) -> After:
        """A provider's response has left whole."""
        if not self.must_close:
            self.enter(_IDLE)
            return After.NEXT
        is_sending = self.framing is not None or bool(self.held) or self.phase is _LAST_RESPONSE
        return After.LINGER if is_sending else After.CLOSE


def phase_seconds(phase: Phase, limits: RelayLimits) -> float | None:
    """Give how long a connection without an exchange may stay in `phase`; None where the peer decides."""
    match phase:
        case Phase.IDLE:
            return limits.keep_alive_seconds
        case Phase.HEAD:
            return limits.head_seconds
        case Phase.DISCARD | Phase.LINGER:
            return LINGER_SECONDS
        case _:
            return None
