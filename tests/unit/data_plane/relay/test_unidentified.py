"""Connections whose box is not known: so many and no more, the oldest first, none in its first second."""

from __future__ import annotations

from services.data_plane.core.refused import Refused
from services.data_plane.relay.connection_caps import box_cap_log
from services.data_plane.relay.unidentified import GRACE_SECONDS, Displaceable, UnidentifiedConnections
from shared.rejections import Rejection


class Waiting(Displaceable):
    """Counts its displacements."""

    def __init__(self) -> None:
        self.displaced = 0

    def displace(self, refused: Refused) -> None:
        assert refused.rejection is Rejection.OVERLOADED
        self.displaced += 1


def test_the_oldest_is_displaced_when_there_is_one_too_many() -> None:
    connections = UnidentifiedConnections(2, box_cap_log(lambda: 0.0))
    first, second, third = Waiting(), Waiting(), Waiting()
    for number, connection in enumerate((first, second, third)):
        connections.add(connection, number * GRACE_SECONDS)
    assert (first.displaced, second.displaced, third.displaced) == (1, 0, 0)
    assert len(connections) == 2


def test_none_is_displaced_within_its_first_second_and_all_that_are_too_many_after_it() -> None:
    connections = UnidentifiedConnections(1, box_cap_log(lambda: 0.0))
    waiting = [Waiting() for _ in range(5)]
    for connection in waiting:
        connections.add(connection, 10.0)
    assert [one.displaced for one in waiting] == [0] * 5
    connections.displace_oldest(10.0 + GRACE_SECONDS)
    assert [one.displaced for one in waiting] == [1, 1, 1, 1, 0]


def test_one_that_has_named_its_box_is_never_displaced() -> None:
    connections = UnidentifiedConnections(1, box_cap_log(lambda: 0.0))
    known, other, last = Waiting(), Waiting(), Waiting()
    connections.add(known, 0.0)
    connections.discard(known)
    connections.discard(known)
    connections.add(other, 1.0)
    connections.add(last, 5.0)
    assert (known.displaced, other.displaced, last.displaced) == (0, 1, 0)


def test_where_no_place_is_left_at_all_the_oldest_goes_whatever_its_age() -> None:
    connections = UnidentifiedConnections(5, box_cap_log(lambda: 0.0))
    refused = Refused(Rejection.OVERLOADED, "all")
    assert not connections.displace_one(refused)
    old, young = Waiting(), Waiting()
    connections.add(old, 1.0)
    connections.add(young, 1.0)
    assert connections.displace_one(refused)
    assert (old.displaced, young.displaced, len(connections)) == (1, 0, 1)
