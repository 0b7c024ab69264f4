"""Unidentified connections: connections without a head, or without a head naming their box.

A connection of a known box is counted with its box. These cannot be: behind a node agent or a proxy their
address says nothing. So there are only so many of them in all, and the oldest make room for the newest.

The oldest, as in nginx without free connections, and not the newest: an honest client sends its head at once,
so the old connections hold their place for nothing. Refusing new connections would let the holder of all
places shut everybody out for as long as a head may take. No connection is closed within its first second,
however many come at once: their heads may be here and only not be read yet. Only in a process without a free
place the oldest connection goes whatever its age.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from shared.cap_log import CapLog

GRACE_SECONDS: Final = 1.0


class Displaceable:
    """The call on a connection whose place is needed."""

    __slots__ = ()

    def displace(self, refused: Refused) -> None:
        """End at once for a newer connection; a begun request is answered by `refused`."""


class UnidentifiedConnections:
    """The unidentified connections, in the order of their coming."""

    def __init__(self, max_connections: int, cap_log: CapLog) -> None:
        self._max_connections = max_connections
        self._cap_log = cap_log
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
        limit = self._max_connections
        while len(self._waiting) > limit:
            if now - next(iter(self._waiting.values())) < GRACE_SECONDS:
                return
            self.displace_one(Refused(Rejection.OVERLOADED, f"{limit} connections of unknown boxes"))
            self._cap_log.note("evicted", "unidentified", limit)

    def displace_one(self, refused: Refused) -> bool:
        """Close the oldest connection whatever its age; False without any."""
        if not self._waiting:
            return False
        connection, _ = self._waiting.popitem(last=False)
        connection.displace(refused)
        return True
