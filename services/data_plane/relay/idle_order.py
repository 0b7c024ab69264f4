"""Idle order: which connection makes room when a cap is full. Nothing here is touched by a request.

An exact order of idleness would cost every request two moves in a list. Here connections stand in the order
of their coming, a bounded number of the oldest is looked at when room is needed, and those found busy go to
the end: the answer is exact up to that number of connections and a good one beyond.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from services.data_plane.core.request_reader import Phase
from services.data_plane.relay.unidentified import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_LOOKED_AT: Final = 64
"""Connections that are looked at for each one that has to make room."""


class MaybeIdle(Protocol):
    """A connection that can tell since when nothing is under way on it."""

    def idle_since(self) -> float | None:
        """Since when the connection has no request, or only a part of a head; None while it is busy."""


def idle_time(phase: Phase, since: float, now: float, *, is_new: bool, is_sending: bool) -> float | None:
    """Give the time since which a connection has no request; None while the connection is busy.

    A connection without any request so far counts as busy for a moment: its first head may have come and only
    not be read yet, as in a burst of connections. So does a connection whose last response has not left yet:
    evicted, it would stay open with these bytes and no longer be counted.

    Args:
        phase: of the connection.
        since: when the phase began.
        now: by the same clock.
        is_new: no request for a provider has come so far.
        is_sending: bytes wait for the box to take them.
    """
    if is_sending:
        return None
    if phase is not Phase.IDLE and phase is not Phase.HEAD:
        return None
    return None if is_new and now < since + GRACE_SECONDS else since


_C = TypeVar("_C", bound=MaybeIdle)


def longest_idle(connections: Iterable[_C], weight: Callable[[_C], int] = lambda _: 0) -> _C | None:
    """Give the connection that has been idle for longest; None when every one is busy.

    A greater `weight` goes before a longer time.
    """
    idle = [(-weight(one), since, one) for one in connections if (since := one.idle_since()) is not None]
    return min(idle, key=lambda each: each[:2])[2] if idle else None


class IdleOrder(Generic[_C]):
    """The connections of an org, or of all."""

    def __init__(self) -> None:
        self._order: OrderedDict[_C, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, connection: _C) -> None:
        """Take note of a new connection."""
        self._order[connection] = None

    def discard(self, connection: _C) -> None:
        """Forget a connection."""
        self._order.pop(connection, None)

    def choose(self, weight: Callable[[_C], int] = lambda _: 0) -> _C | None:
        """Give the connection that makes room; None when none of those looked at is idle."""
        oldest = list(islice(self._order, MAX_LOOKED_AT))
        for one in oldest:
            if one.idle_since() is None:
                self._order.move_to_end(one)
        return longest_idle(oldest, weight)
