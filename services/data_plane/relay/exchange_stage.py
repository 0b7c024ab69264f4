"""The stages of an exchange, and how long each may be silent."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits


class Stage(Enum):
    """Where an exchange is. A stage is only left forward, but for a single repetition of a request."""

    PREPARING = auto()  # waiting for the secret or for a connection
    SENT = auto()  # the head has left; the response's head is not here yet
    ANSWERING = auto()  # the box has the response's head
    SPLICED = auto()  # a WebSocket: bytes both ways
    ENDED = auto()


def silence_limit(
    stage: Stage, limits: RelayLimits, *, body_awaited: bool, stalled: bool
) -> tuple[float, Rejection]:
    """Give the seconds of silence allowed to a stage after `PREPARING`, and the ending of its request.

    Args:
        stage: of the exchange.
        limits: of the relay.
        body_awaited: the request is not whole yet.
        stalled: the box is not read, because the provider takes no more.
    """
    if stage is not Stage.SENT:
        return limits.idle_seconds, Rejection.UPSTREAM_TIMEOUT
    if not body_awaited:
        return limits.first_byte_seconds, Rejection.UPSTREAM_TIMEOUT
    if stalled:
        return limits.write_stall_seconds, Rejection.UPSTREAM_TIMEOUT
    return limits.body_progress_seconds, Rejection.REQUEST_TIMEOUT
