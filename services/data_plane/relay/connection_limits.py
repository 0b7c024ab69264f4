"""Connection limits: the open connections and requests by box and by org, and the admission of another.

Admission by numbers, so no box can starve its org and no org another org.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.refused import Refused
from services.data_plane.relay.unidentified import Displaceable, UnidentifiedConnections
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
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

    def abort_exchange(self, refused: Refused, provider: str = "") -> None:
        """Abort the open exchange: with `provider`, or with any provider if empty."""

    def revoke(self, refused: Refused) -> None:
        """End for good: the box's node or life has ended, or its token did too long ago."""

    def check_deadlines(self, now: float, unix_seconds: float) -> None:
        """End everything past its deadline. Called for every connection about twice a second."""

    def break_off(self) -> None:
        """End visibly, whatever is under way."""


class OrgLoad:
    """The open requests of an org in this process.

    Attributes:
        busy: the connections with an open exchange.
    """

    __slots__ = ("boxes", "busy", "name")

    def __init__(self, name: str) -> None:
        self.name = name
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


class ConnectionLimits:
    """The books of open connections and requests, and their limits.

    Attributes:
        connections: every open connection of a box.
        unidentified: those of them whose box is not known yet.
    """

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._orgs: dict[str, OrgLoad] = {}
        self.connections: set[CountedConnection] = set()
        self.unidentified = UnidentifiedConnections(limits.max_unidentified_connections)
        # Each may keep a full buffer; and, whatever the settings, one connection may.
        self._max_stalled_per_box = max(limits.stalled_bytes_per_box // limits.write_buffer_bytes, 1)

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
        load = self._load_of(box)
        if len(load.connections) >= self._limits.max_connections_per_box:
            raise _full(self._limits.max_connections_per_box, "connections of one box")
        if current is not None:
            self._release(current, connection)
        else:
            self.unidentified.discard(connection)
        connection.load = load
        load.connections.add(connection)
        transport = connection.transport
        if load.narrow or (current is not None and current.narrow):
            transport.hold_at_most(0 if load.narrow else self._limits.write_buffer_bytes)
        if transport.write_paused:
            self.stalled(connection)
        return load

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


def _full(limit: int, of_what: str) -> Refused:
    return Refused(Rejection.OVERLOADED, f"{limit} {of_what}")
