"""Unidentified connections: connections without a head, or without a head naming their box.

A connection of a known box is counted with its box. These cannot be: behind a node agent or a proxy their
address says nothing. So there are only so many of them in all, and the oldest make room for the newest.

The oldest, as in nginx without free connections, and not the newest: an honest client sends its head at once,
so the old connections hold their place for nothing. Refusing new connections would let the holder of all
places shut everybody out for as long as a head may take. No connection is closed within its first second,
however many come at once: their heads may be here and only not be read yet.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

GRACE_SECONDS: Final = 1.0


class Displaceable:
    """The call on a connection whose place is needed."""

    __slots__ = ()

    def displace(self) -> None:
        """End at once for a newer connection: no box has been named on this connection."""


class UnidentifiedConnections:
    """The unidentified connections, in the order of their coming."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._waiting: OrderedDict[Displaceable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: Displaceable, now: float) -> None:
        """Take note of a new connection."""
        self._waiting[connection] = now
        self.displace_oldest(now)

    def discard(self, connection: Displaceable) -> None:
        """Forget a connection now of a known box, or ended."""
        self._waiting.pop(connection, None)

    def displace_oldest(self, now: float) -> None:
        """Close the oldest excess connections."""
        while len(self._waiting) > self._max_connections:
            connection, came_at = next(iter(self._waiting.items()))
            if now - came_at < GRACE_SECONDS:
                return
            del self._waiting[connection]
            connection.displace()
