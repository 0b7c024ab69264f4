"""Connections whose box is not known yet: they have sent no head, or none that says which box they are of.

A connection of a known box is counted with its box. These cannot be: behind a node agent or a proxy their
address says nothing. So there are only so many of them in all, and the oldest make room for the newest.

The oldest, as nginx does when it runs out of connections, and not the newest: an honest client sends its head
as soon as it is connected, so the old ones are those that hold their place for nothing, and refusing the new
ones would let whoever holds all places shut everybody out for as long as a head may take. Nobody is closed
within the first second, however many come at once: their heads may be here and only not be read yet.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

GRACE_SECONDS: Final = 1.0


class Stranger(Protocol):
    """A connection that has not proved its box."""

    @property
    def transport(self) -> object:
        """Its transport, under which it is listed."""
        ...

    def make_room(self) -> None:
        """End at once for a newer connection."""
        ...


class Strangers:
    """Who is waiting, in the order of their coming."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._waiting: OrderedDict[object, tuple[float, Stranger]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def came(self, connection: Stranger, now: float) -> None:
        """A connection was made."""
        self._waiting[connection.transport] = now, connection
        self.make_room(now)

    def known(self, transport: object) -> None:
        """It is a known box's now, or gone."""
        self._waiting.pop(transport, None)

    def make_room(self, now: float) -> None:
        """Close the oldest of those that are too many."""
        while len(self._waiting) > self._max_connections:
            transport, (came_at, connection) = next(iter(self._waiting.items()))
            if now - came_at < GRACE_SECONDS:
                return
            del self._waiting[transport]
            connection.make_room()
