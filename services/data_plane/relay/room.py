"""Who is inside: open exchanges and connections by box and by org, and whether there is room for one more.

Admission by numbers, so that no box can starve its org and no org another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.refused import Refused
from services.data_plane.relay.strangers import Strangers
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.box_transport import BoxTransport
    from services.data_plane.relay.exchange import Exchange
    from shared.box_token import Box


class OrgLoad:
    """What one org has open in this process."""

    __slots__ = ("boxes", "exchanges", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.exchanges: set[Exchange] = set()
        self.boxes: dict[str, BoxLoad] = {}


class BoxLoad:
    """What one box has open in this process. Kept while it has a connection.

    Attributes:
        connections: its connections.
        stalled: those of them that take nothing of what waits for them.
        narrow: whether so many are stalled that none may keep more than one piece of an answer.
    """

    __slots__ = ("connections", "exchanges", "name", "narrow", "org", "stalled")

    def __init__(self, name: str, org: OrgLoad) -> None:
        self.name = name
        self.org = org
        self.connections: set[BoxTransport] = set()
        self.stalled: set[BoxTransport] = set()
        self.narrow = False
        self.exchanges = 0


class Room:
    """The books of what is open, and the limits on it."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._orgs: dict[str, OrgLoad] = {}
        self.strangers = Strangers(limits.max_unidentified_connections)
        # Each may keep a full buffer; and, whatever the settings, one connection may.
        self._max_stalled_per_box = max(limits.stalled_bytes_per_box // limits.write_buffer_bytes, 1)

    @property
    def open_exchanges(self) -> int:
        """How many exchanges are under way, of all orgs."""
        return sum(len(org.exchanges) for org in self._orgs.values())

    def book_connection(self, box: Box, current: BoxLoad | None, transport: BoxTransport) -> BoxLoad:
        """Book a connection on its box, taking it off `current` if that is another's; raises `Refused`.

        Behind a trusted proxy one connection may carry one box after another.
        """
        if current is not None and current.name == box.box and current.org.name == box.org:
            return current
        load = self._load_of(box)
        if len(load.connections) >= self._limits.max_connections_per_box:
            raise _full(self._limits.max_connections_per_box, "connections of one box")
        if current is not None:
            self.release_connection(current, transport)
        else:
            self.strangers.known(transport)
        load.connections.add(transport)
        if load.narrow or (current is not None and current.narrow):
            transport.hold_at_most(0 if load.narrow else self._limits.write_buffer_bytes)
        if transport.write_paused:
            self.stalled(load, transport)
        return load

    def _load_of(self, box: Box) -> BoxLoad:
        org = self._orgs.get(box.org)
        if org is None:
            org = self._orgs[box.org] = OrgLoad(box.org)
        load = org.boxes.get(box.box)
        if load is None:
            load = org.boxes[box.box] = BoxLoad(box.box, org)
        return load

    def release_connection(self, load: BoxLoad, transport: BoxTransport) -> None:
        """Take a connection off its box."""
        self.drained(load, transport)
        load.connections.discard(transport)
        self._forget_if_empty(load)

    def stalled(self, load: BoxLoad, transport: BoxTransport) -> None:
        """A connection's box takes no more of an answer for now.

        One that keeps a full buffer is no harm; hundreds of them are. When their buffers come to
        `stalled_bytes_per_box`, every connection of the box pauses its provider as soon as anything waits,
        until half of them have drained. A piece that was already read still has to be kept.
        """
        load.stalled.add(transport)
        if not load.narrow and len(load.stalled) >= self._max_stalled_per_box:
            load.narrow = True
            for each in list(load.connections):
                each.hold_at_most(0)

    def drained(self, load: BoxLoad, transport: BoxTransport) -> None:
        """A connection's box takes bytes again."""
        load.stalled.discard(transport)
        if load.narrow and len(load.stalled) <= self._max_stalled_per_box // 2:
            load.narrow = False
            for each in list(load.connections):
                each.hold_at_most(self._limits.write_buffer_bytes)

    def enter(self, load: BoxLoad, exchange: Exchange) -> None:
        """Book an exchange that begins; raises `Refused` when its box or org has too many open."""
        limits, of_org = self._limits, load.org.exchanges
        if load.exchanges >= limits.max_requests_per_box:
            raise _full(limits.max_requests_per_box, "requests of one box")
        if len(of_org) >= limits.max_requests_per_org:
            raise _full(limits.max_requests_per_org, "requests of one organization")
        load.exchanges += 1
        of_org.add(exchange)

    def leave(self, load: BoxLoad, exchange: Exchange) -> None:
        """An exchange is over."""
        load.exchanges -= 1
        load.org.exchanges.discard(exchange)
        if not load.exchanges:
            self._forget_if_empty(load)

    def all_exchanges(self) -> list[Exchange]:
        """Give everything that is under way."""
        return [exchange for org in self._orgs.values() for exchange in org.exchanges]

    def exchanges_of(self, org: str) -> list[Exchange]:
        """Give what an org has under way."""
        load = self._orgs.get(org)
        return list(load.exchanges) if load else []

    def _forget_if_empty(self, load: BoxLoad) -> None:
        if load.connections or load.exchanges:
            return
        load.org.boxes.pop(load.name, None)
        if not load.org.boxes:
            self._orgs.pop(load.org.name, None)


def _full(limit: int, of_what: str) -> Refused:
    return Refused(Rejection.OVERLOADED, f"{limit} {of_what}")
