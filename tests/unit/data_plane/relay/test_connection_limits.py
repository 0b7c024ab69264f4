"""Open connections by box and by org: bookings, limits, and the bytes permitted to stalled connections."""

from __future__ import annotations

from collections import Counter

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.relay.connection_limits import ConnectionLimits, CountedConnection
from services.data_plane.relay.wire.hang_up_watch import HangUpWatch
from services.data_plane.relay.wire.transport import BoxTransport
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.box_token import Box
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport

SMALL = RelayLimits(
    max_connections_per_box=2,
    max_requests_per_box=2,
    max_requests_per_org=3,
    write_buffer_bytes=1000,
    stalled_bytes_per_box=2000,
)


def _box(name: str, org: str = "acme") -> Box:
    return Box(org, name, "life-1", float("inf"))


class Connection(CountedConnection):
    """A connection on a transport without a socket."""

    def __init__(self, limits: ConnectionLimits, idle_since: float | None = None) -> None:
        self.box, self.load = None, None
        self.idle = idle_since
        self.displaced_by: Refused | None = None
        self.raw = FakeTransport()
        self.transport = BoxTransport(self.raw, 1000, WriteBatch(), HangUpWatch(), lambda: None)
        limits.add(self, 0.0)

    def idle_since(self) -> float | None:
        return self.idle

    def displace(self, refused: Refused) -> None:
        self.displaced_by = refused


def test_a_connection_is_unidentified_until_it_is_booked_on_its_box() -> None:
    limits = ConnectionLimits(SMALL)
    connection = Connection(limits)
    assert (len(limits.unidentified), limits.connections) == (1, {connection})
    load = limits.book(_box("one"), connection)
    assert (len(limits.unidentified), connection.load, load.connections) == (0, load, {connection})
    assert limits.book(_box("one"), connection) is load
    limits.discard(connection)
    assert (limits.connections, connection.load, limits._orgs) == (set(), None, {})


def test_one_connection_too_many_of_a_box_is_refused_and_stays_unidentified() -> None:
    limits = ConnectionLimits(SMALL)
    for _ in range(2):
        limits.book(_box("one"), Connection(limits))
    third = Connection(limits)
    with pytest.raises(Refused) as caught:
        limits.book(_box("one"), third)
    assert caught.value.rejection is Rejection.OVERLOADED
    assert (third.load, len(limits.unidentified)) == (None, 1)
    assert limits.book(_box("two"), third).name == "two"


def test_a_box_of_the_same_name_in_another_org_is_another_box() -> None:
    limits = ConnectionLimits(SMALL)
    connection = Connection(limits)
    first = limits.book(_box("one", "acme"), connection)
    second = limits.book(_box("one", "globex"), connection)
    assert first is not second
    assert (first.connections, second.connections, set(limits._orgs)) == (set(), {connection}, {"globex"})


def test_exchanges_are_limited_by_box_and_by_org_and_leave_room_when_they_end() -> None:
    limits = ConnectionLimits(SMALL)
    connections = [Connection(limits) for _ in range(4)]
    loads = [
        limits.book(_box(name), connection)
        for name, connection in zip(("one", "one", "two", "two"), connections, strict=True)
    ]
    for load, connection in zip(loads[:3], connections[:3], strict=True):
        limits.begin_exchange(load, connection)
    with pytest.raises(Refused, match="requests of one box"):
        limits.begin_exchange(loads[0], connections[0])
    with pytest.raises(Refused, match="requests of one organization"):
        limits.begin_exchange(loads[3], connections[3])
    assert limits.open_exchanges == 3
    assert set(limits.busy_of("acme")) == set(limits.busy()) == set(connections[:3])
    limits.end_exchange(loads[0], connections[0])
    limits.begin_exchange(loads[3], connections[3])
    assert limits.busy_of("globex") == []


def test_a_box_with_an_open_exchange_is_remembered_though_its_connection_is_gone() -> None:
    limits = ConnectionLimits(SMALL)
    connection = Connection(limits)
    load = limits.book(_box("one"), connection)
    limits.begin_exchange(load, connection)
    limits.discard(connection)
    assert limits.open_exchanges == 1
    limits.end_exchange(load, connection)
    assert limits._orgs == {}


def test_when_stalled_buffers_reach_the_boxs_bytes_all_its_connections_keep_nothing() -> None:
    limits = ConnectionLimits(RelayLimits(write_buffer_bytes=1000, stalled_bytes_per_box=2000))
    connections = [Connection(limits) for _ in range(3)]
    for connection in connections:
        limits.book(_box("one"), connection)
    limits.stalled(connections[0])
    assert [connection.raw.high for connection in connections] == [1000] * 3
    limits.stalled(connections[1])
    assert [connection.raw.high for connection in connections] == [0] * 3
    late = Connection(limits)
    limits.book(_box("one"), late)
    assert late.raw.high == 0
    limits.drained(connections[0])
    assert [connection.raw.high for connection in (*connections, late)] == [1000] * 4


def test_a_connection_that_leaves_a_stalled_box_is_no_longer_narrow() -> None:
    limits = ConnectionLimits(RelayLimits(write_buffer_bytes=1000, stalled_bytes_per_box=1000))
    connection = Connection(limits)
    limits.book(_box("one"), connection)
    limits.stalled(connection)
    assert connection.raw.high == 0
    limits.book(_box("two"), connection)
    assert connection.raw.high == 1000


def test_what_stalls_before_its_box_is_known_is_counted_once_it_is() -> None:
    limits = ConnectionLimits(SMALL)
    connection = Connection(limits)
    connection.transport.write_paused = True
    limits.stalled(connection)
    assert limits.book(_box("one"), connection).stalled == {connection}


def test_a_full_box_closes_its_connection_that_has_been_idle_for_longest() -> None:
    limits = ConnectionLimits(SMALL)
    newer, older = Connection(limits, 5.0), Connection(limits, 3.0)
    for connection in (newer, older):
        limits.book(_box("one"), connection)
    load = limits.book(_box("one"), third := Connection(limits))
    assert (newer.displaced_by, load.connections) == (None, {newer, third})
    assert str(older.displaced_by) == "overloaded: 2 connections of one box"
    assert (older.load, +Counter(limits.cap_log.evicted), +Counter(limits.cap_log.refused)) == (
        None,
        {"box": 1},
        {},
    )


def test_a_full_org_closes_its_own_idle_connection_and_never_anothers() -> None:
    limits = ConnectionLimits(RelayLimits(max_connections_per_org=2))
    other = Connection(limits, 0.0)
    limits.book(_box("one", "globex"), other)
    busy, idle = Connection(limits), Connection(limits, 9.0)
    limits.book(_box("one"), busy)
    limits.book(_box("two"), idle)
    limits.book(_box("three"), Connection(limits))
    assert (other.displaced_by, busy.displaced_by) == (None, None)
    assert str(idle.displaced_by) == "overloaded: 2 connections of one organization"
    with pytest.raises(Refused, match="2 connections of one organization"):
        limits.book(_box("four"), Connection(limits))
    assert set(limits._orgs["acme"].boxes) == {"one", "three"}
    assert (+Counter(limits.cap_log.evicted), +Counter(limits.cap_log.refused)) == ({"org": 1}, {"org": 1})


def test_a_connection_that_changes_its_box_within_a_full_org_evicts_nothing() -> None:
    limits = ConnectionLimits(RelayLimits(max_connections_per_org=1))
    connection = Connection(limits, 1.0)
    limits.book(_box("one"), connection)
    assert limits.book(_box("two"), connection).connections == {connection}
    assert connection.displaced_by is None


def test_when_all_places_are_taken_strangers_go_first_and_then_the_largest_orgs_idle_ones() -> None:
    limits = ConnectionLimits(RelayLimits(max_connections=4))
    accepted: set[Connection] = set()
    limits.count_listener(accepted)
    limits.count_listener(accepted)
    small, one, two = Connection(limits, 1.0), Connection(limits, 5.0), Connection(limits, 3.0)
    limits.book(_box("box", "small"), small)
    limits.book(_box("one"), one)
    limits.book(_box("two"), two)
    stranger = Connection(limits)
    accepted |= {small, one, two}
    limits.make_room()
    assert stranger.displaced_by is None
    accepted.add(stranger)
    for expected in (stranger, two):  # after which both orgs have one connection
        limits.make_room()
        assert str(expected.displaced_by) == "overloaded: 4 connections in all"
    assert (small.displaced_by, one.displaced_by) == (None, None)
    limits.make_room()
    assert small.displaced_by is not None
    one.idle = None
    with pytest.raises(Refused, match="4 connections in all"):
        limits.make_room()
    assert (+Counter(limits.cap_log.evicted), +Counter(limits.cap_log.refused)) == ({"all": 3}, {"all": 1})


def test_a_proved_connection_without_a_place_is_counted_as_refused_by_its_requests_and_once() -> None:
    limits = ConnectionLimits(SMALL)
    for _ in range(2):
        limits.book(_box("one"), Connection(limits))
    proved = Connection(limits)
    proved.box = _box("one")
    assert limits.take_place(proved, 0.0) is None
    assert (proved.load, len(limits.unidentified), +Counter(limits.cap_log.refused)) == (None, 1, {})
    for _ in range(3):
        with pytest.raises(Refused):
            limits.book(_box("one"), proved)
    assert +Counter(limits.cap_log.refused) == {"box": 1}
    limits.discard(proved)
    assert limits._refused == set()


def test_a_proved_connection_takes_the_place_of_an_idle_one_at_its_arrival() -> None:
    limits = ConnectionLimits(SMALL)
    idle = Connection(limits, 1.0)
    for connection in (idle, Connection(limits)):
        limits.book(_box("one"), connection)
    proved = Connection(limits)
    proved.box = _box("one")
    assert limits.take_place(proved, 0.0) is None
    assert (proved.load is not None, str(idle.displaced_by)) == (True, "overloaded: 2 connections of one box")
