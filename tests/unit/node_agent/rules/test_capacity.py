"""Caps follow from the descriptors, and no org can take every connection of a node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.node_agent.rules.capacity import (
    DESCRIPTORS_PER_CONNECTION,
    DESCRIPTORS_PER_LISTENER,
    KEPT_BACK_DESCRIPTORS,
    Caps,
    Occupancy,
    caps_for,
    has_room_for_a_listener,
)


@given(st.integers(min_value=1_024, max_value=1_000_000), st.integers(min_value=0, max_value=200))
def test_every_connection_has_its_descriptors_and_some_are_kept_back(
    descriptors: int, listeners: int
) -> None:
    caps = caps_for(descriptors, listeners, per_box=256)
    used = caps.in_all * DESCRIPTORS_PER_CONNECTION + listeners * DESCRIPTORS_PER_LISTENER
    assert used + KEPT_BACK_DESCRIPTORS <= descriptors
    assert caps.per_box <= caps.per_org <= caps.in_all


def test_listeners_never_take_more_than_half_of_the_descriptors() -> None:
    assert has_room_for_a_listener(1_024, 223)
    assert not has_room_for_a_listener(1_024, 224)


def test_each_cap_refuses_by_its_own_name() -> None:
    occupancy = Occupancy(Caps(in_all=5, per_org=3, per_box=2))
    assert occupancy.enter("a", of_box=0) is None
    assert occupancy.enter("a", of_box=1) is None
    assert occupancy.enter("a", of_box=2) == "box"
    assert occupancy.enter("a", of_box=0) is None
    assert occupancy.enter("a", of_box=0) == "org"
    assert [occupancy.enter("b", of_box=place) for place in range(2)] == [None, None]
    assert occupancy.enter("c", of_box=0) == "all"
    occupancy.leave("a")
    assert occupancy.enter("c", of_box=0) is None


def test_a_connection_that_left_is_not_counted_any_more() -> None:
    occupancy = Occupancy(Caps(in_all=1, per_org=1, per_box=1))
    for _ in range(100):
        assert occupancy.enter("a", of_box=0) is None
        occupancy.leave("a")
    assert occupancy.in_all == 0
