"""Connection limits: the open connections and requests by box, by org and in all, and what one more may cost.

Admission by numbers, so no box can starve its org, no org another, and all boxes together not the process.
A full cap closes the connection idle for longest; where all connections are busy, the newcomer is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.data_plane.core.refused import Refused
from services.data_plane.relay.connection_caps import box_cap_log
from services.data_plane.relay.idle_order import IdleOrder, longest_idle
from services.data_plane.relay.unidentified import Displaceable, UnidentifiedConnections
from shared.rejections import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.connection_caps import Cap
    from services.data_plane.relay.wire.transport import BoxTransport
    from shared.box_token import Box


class CountedConnection(Displaceable):
    """A box's connection, as seen by the limits and the relay's deadlines.

    Attributes:
        box: by which the latest request was admitted, or the connection itself; None before.
        load: of the box; None until the connection is booked on a load.
        transport: towards the box.
    """

    __slots__ = ("box", "load", "transport")

    box: Box | None
    load: BoxLoad | None
    transport: BoxTransport

    def idle_since(self) -> float | None:
        """Give the time since which no request is under way; None for a busy connection."""
        return None

    def abort_exchange(self, refused: Refused, provider: str = "") -> None:
        """Abort the open exchange: with `provider`, or with any provider if empty."""

    def revoke(self, refused: Refused) -> None:
        """End for good: the box's node or life has ended, or its token did too long ago."""

    def check_deadlines(self, now: float, unix_seconds: float) -> None:
        """End everything past its deadline. Called for every connection about twice a second."""

    def break_off(self) -> None:
        """End visibly, whatever is under way."""


class OrgLoad:
    """The open connections and requests of an org in this process.

    Attributes:
        connections: the connections of all its boxes.
        busy: the connections with an open exchange.
    """

    __slots__ = ("boxes", "busy", "connections", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections: IdleOrder[CountedConnection] = IdleOrder()
        self.busy: set[CountedConnection] = set()
        self.boxes: dict[str, BoxLoad] = {}


class BoxLoad:
    """The open connections and requests of a box in this process. Kept as long as the box has a connection.

    Attributes:
        connections: its connections.
        stalled: the connections whose box takes no waiting bytes.
        narrow: whether too many are stalled for any connection to keep more than a single piece of an answer.
    """

    __slots__ = ("connections", "exchanges", "name", "narrow", "org", "stalled")

    def __init__(self, name: str, org: OrgLoad) -> None:
        self.name = name
        self.org = org
        self.connections: set[CountedConnection] = set()
        self.stalled: set[CountedConnection] = set()
        self.narrow = False
        self.exchanges = 0


@dataclass(frozen=True, slots=True)
class FullCap:
    """A cap without a place for one more connection.

    Attributes:
        cap: which one.
        limit: its number.
        chosen: the idle connection to evict for the newcomer; None when all connections are busy.
        refused: the answer to the connection without a place.
    """

    cap: Cap
    limit: int
    chosen: CountedConnection | None
    refused: Refused


class ConnectionLimits:
    """The books of open connections and requests, and their limits.

    Attributes:
        connections: every open connection of a box.
        unidentified: those of them whose box is not known yet.
        cap_log: counts the connections closed by a full cap.
    """

    def __init__(self, limits: RelayLimits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._max_per_org = limits.max_connections_per_org or limits.max_connections
        self._listeners: list[Sized] = []
        self._identified: IdleOrder[CountedConnection] = IdleOrder()
        self.cap_log = box_cap_log(monotonic)
        self._orgs: dict[str, OrgLoad] = {}
        self._refused: set[CountedConnection] = set()  # counted as refused, each of them once
        self.connections: set[CountedConnection] = set()
        self.unidentified = UnidentifiedConnections(limits.max_unidentified_connections, self.cap_log)
        # Each may keep a full buffer; and, whatever the settings, one connection may.
        self._max_stalled_per_box = max(limits.stalled_bytes_per_box // limits.write_buffer_bytes, 1)

    @property
    def max_connections(self) -> int:
        """How many connections may be open in all."""
        return self._limits.max_connections

    @property
    def open_connections(self) -> int:
        """How many connections the listeners have open, including those served by the application."""
        return sum(map(len, self._listeners))

    def count_listener(self, accepted: Sized) -> None:
        """Count a listener's open connections by `accepted`, its own record of them; may be repeated."""
        if not any(known is accepted for known in self._listeners):
            self._listeners.append(accepted)

    def take_place(self, connection: CountedConnection, now: float) -> Refused | None:
        """Take in a new connection, and book it on the box already proved; gives why it has no place."""
        try:
            self.make_room()
        except Refused as full:
            return full
        self.add(connection, now)
        if connection.box is not None:
            # Without a place the connection stays an unidentified one, whose first request is told so.
            cap = self._full_cap(connection.box, None)
            if cap is None or cap.chosen is not None:
                self.book(connection.box, connection)
        return None

    def make_room(self) -> None:
        """Evict a connection where all places are taken; raises `Refused` when every connection is busy."""
        limit = self._limits.max_connections
        if self.open_connections < limit:
            return
        refused = _full(limit, "connections in all")
        if self.unidentified.displace_one(refused):
            self.cap_log.note("evicted", "all", limit)
            return
        # Of the org with the most connections first: an org that fills the process makes room in it.
        chosen = self._identified.choose(_size_of_org)
        if chosen is None:
            self.cap_log.note("refused", "all", limit)
            raise refused
        self._evict(chosen, FullCap("all", limit, chosen, refused))

    def _evict(self, chosen: CountedConnection, full: FullCap) -> None:
        """Close an idle connection for a newer one."""
        org = chosen.load.org.name if chosen.load is not None and full.cap != "all" else ""
        self._leave_box(chosen)
        chosen.displace(full.refused)
        self.cap_log.note("evicted", full.cap, full.limit, org)

    @property
    def open_exchanges(self) -> int:
        """How many exchanges are under way, of all orgs."""
        return sum(len(org.busy) for org in self._orgs.values())

    def add(self, connection: CountedConnection, now: float) -> None:
        """Take note of a new connection, whose box is not known."""
        self.connections.add(connection)
        self.unidentified.add(connection, now)

    def discard(self, connection: CountedConnection) -> None:
        """Forget an ended connection."""
        self.connections.discard(connection)
        self.unidentified.discard(connection)
        self._refused.discard(connection)
        self._leave_box(connection)

    def _leave_box(self, connection: CountedConnection) -> None:
        if connection.load is not None:
            self._release(connection.load, connection)
            connection.load = None

    def book(self, box: Box, connection: CountedConnection) -> BoxLoad:
        """Book a connection on its box, and take the connection off another box; raises `Refused`.

        Behind a trusted proxy the same connection may carry box after box.
        """
        current = connection.load
        if current is not None and current.name == box.box and current.org.name == box.org:
            return current
        self._make_room_for(box, connection)
        if current is not None:
            self._release(current, connection)
        else:
            self.unidentified.discard(connection)
        load = self._load_of(box)
        connection.load = load
        load.connections.add(connection)
        load.org.connections.add(connection)
        self._identified.add(connection)
        transport = connection.transport
        if load.narrow or (current is not None and current.narrow):
            transport.hold_at_most(0 if load.narrow else self._limits.write_buffer_bytes)
        if transport.write_paused:
            self.stalled(connection)
        return load

    def _make_room_for(self, box: Box, newcomer: CountedConnection) -> None:
        """Evict a connection of the box or its org at a full cap; raises `Refused` when all are busy.

        A connection may ask again with each request, and is counted as refused once.
        """
        full = self._full_cap(box, newcomer.load)
        if full is None:
            return
        if full.chosen is not None:
            self._evict(full.chosen, full)
            return
        if newcomer not in self._refused:
            self._refused.add(newcomer)
            self.cap_log.note("refused", full.cap, full.limit)
        raise full.refused

    def _full_cap(self, box: Box, current: BoxLoad | None) -> FullCap | None:
        """Give the cap without a place for one more connection of the box.

        `current` is the present load of the connection to book: within one org the number stays the same.
        """
        org = self._orgs.get(box.org)
        if org is None:
            return None
        load, limit = org.boxes.get(box.box), self._limits.max_connections_per_box
        if load is not None and len(load.connections) >= limit:
            refused = _full(limit, "connections of one box")
            return FullCap("box", limit, longest_idle(load.connections), refused)
        if len(org.connections) >= self._max_per_org and (current is None or current.org is not org):
            refused = _full(self._max_per_org, "connections of one organization")
            return FullCap("org", self._max_per_org, org.connections.choose(), refused)
        return None

    def _load_of(self, box: Box) -> BoxLoad:
        org = self._orgs.get(box.org)
        if org is None:
            org = self._orgs[box.org] = OrgLoad(box.org)
        load = org.boxes.get(box.box)
        if load is None:
            load = org.boxes[box.box] = BoxLoad(box.box, org)
        return load

    def _release(self, load: BoxLoad, connection: CountedConnection) -> None:
        """Take a connection off its box."""
        self.drained(connection)
        load.connections.discard(connection)
        load.org.connections.discard(connection)
        self._identified.discard(connection)
        self._forget_if_empty(load)

    def stalled(self, connection: CountedConnection) -> None:
        """A connection's box takes no more of an answer for now.

        A single connection with a full buffer is no harm; hundreds of them are. When their buffers come to
        `stalled_bytes_per_box`, every connection of the box pauses its provider as soon as anything waits,
        until half of them have drained. A piece already read must still be kept.
        """
        load = connection.load
        if load is None:
            return
        load.stalled.add(connection)
        if not load.narrow and len(load.stalled) >= self._max_stalled_per_box:
            load.narrow = True
            for each in list(load.connections):
                each.transport.hold_at_most(0)

    def drained(self, connection: CountedConnection) -> None:
        """A connection's box takes bytes again."""
        load = connection.load
        if load is None:
            return
        load.stalled.discard(connection)
        if load.narrow and len(load.stalled) <= self._max_stalled_per_box // 2:
            load.narrow = False
            for each in list(load.connections):
                each.transport.hold_at_most(self._limits.write_buffer_bytes)

    def begin_exchange(self, load: BoxLoad, connection: CountedConnection) -> None:
        """Book a beginning exchange; raises `Refused` when its box or org has too many open."""
        limits, busy = self._limits, load.org.busy
        if load.exchanges >= limits.max_requests_per_box:
            raise _full(limits.max_requests_per_box, "requests of one box")
        if len(busy) >= limits.max_requests_per_org:
            raise _full(limits.max_requests_per_org, "requests of one organization")
        load.exchanges += 1
        busy.add(connection)

    def end_exchange(self, load: BoxLoad, connection: CountedConnection) -> None:
        """Book the end of the connection's exchange."""
        load.exchanges -= 1
        load.org.busy.discard(connection)
        if not load.exchanges:
            self._forget_if_empty(load)

    def busy(self) -> list[CountedConnection]:
        """Give every connection with an open exchange."""
        return [connection for org in self._orgs.values() for connection in org.busy]

    def busy_of(self, org: str) -> list[CountedConnection]:
        """Give the connections of an org with an open exchange."""
        load = self._orgs.get(org)
        return list(load.busy) if load else []

    def _forget_if_empty(self, load: BoxLoad) -> None:
        if load.connections or load.exchanges:
            return
        load.org.boxes.pop(load.name, None)
        if not load.org.boxes:
            self._orgs.pop(load.org.name, None)


def _size_of_org(connection: CountedConnection) -> int:
    return 0 if connection.load is None else len(connection.load.org.connections)


def _full(limit: int, of_what: str) -> Refused:
    return Refused(Rejection.OVERLOADED, f"{limit} {of_what}")
