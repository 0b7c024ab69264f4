"""The phases of a box connection's *request* side, and the longest stay in each without an exchange."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits

LINGER_SECONDS: Final = 2.0


class Phase(Enum):
    """The meaning of the next bytes from the box."""

    IDLE = auto()  # a new request
    HEAD = auto()  # more of a head
    BODY = auto()  # more of a request's body
    ANSWER = auto()  # early bytes of the next request: this one is whole, and its answer is under way
    LAST_ANSWER = auto()  # thrown away: too much of it came before the answer; the connection ends with that
    SPLICED = auto()  # a WebSocket's
    DISCARD = auto()  # the rest of a body that was answered by the gateway: thrown away
    LINGER = auto()  # thrown away: the connection closes, but the box shall still read its answer
    ENDING = auto()  # thrown away: the connection closes as soon as the last bytes have left
    GONE = auto()  # nobody's: closed, or handed over


def phase_seconds(phase: Phase, limits: RelayLimits) -> float | None:
    """Give how long a connection may stay in `phase`; None where an exchange or the peer decides."""
    match phase:
        case Phase.IDLE:
            return limits.keep_alive_seconds
        case Phase.HEAD:
            return limits.head_seconds
        case Phase.DISCARD | Phase.LINGER:
            return LINGER_SECONDS
        case _:
            return None
