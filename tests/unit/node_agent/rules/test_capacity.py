"""Caps follow from the descriptors, and no org can take every connection of a node."""

from __future__ import annotations

from collections import Counter

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
    refusal_of,
)


@given(st.integers(min_value=1_024, max_value=1_000_000), st.integers(min_value=0, max_value=200))
def test_every_connection_has_its_descriptors_and_some_are_kept_back(
    descriptors: int, listeners: int
) -> None:
    caps = caps_for(descriptors, listeners, per_box=256)
    used = caps.in_all * DESCRIPTORS_PER_CONNECTION + listeners * DESCRIPTORS_PER_LISTENER
    assert used + KEPT_BACK_DESCRIPTORS <= descriptors


def test_listeners_never_take_more_than_half_of_the_descriptors() -> None:
    assert has_room_for_a_listener(1_024, 223)
    assert not has_room_for_a_listener(1_024, 224)


def filled(occupancy: Occupancy, org: str, boxes: int = 1) -> int:
    """Open connections from the boxes of an org in turn until each is refused; give how many are open."""
    of_box, refused = [0] * boxes, set[int]()
    while len(refused) < boxes:
        for box in range(boxes):
            if occupancy.enter(org, of_box[box]) is None:
                of_box[box] += 1
                refused.discard(box)
            else:
                refused.add(box)
    return sum(of_box)


def test_each_cap_refuses_by_its_own_name() -> None:
    assert refusal_of(Caps(100, 10), in_all=100, of_org=0, of_box=0) == "all"
    assert refusal_of(Caps(100, 10), in_all=20, of_org=15, of_box=10) == "box"
    assert refusal_of(Caps(100, 90), in_all=50, of_org=50, of_box=0) == "org"
    assert refusal_of(Caps(100, 90), in_all=40, of_org=30, of_box=30) == "box"
    assert refusal_of(Caps(100, 90), in_all=40, of_org=30, of_box=29) is None


def test_one_greedy_org_gets_half_of_the_node_and_two_get_a_third_each() -> None:
    occupancy = Occupancy(Caps(900, 900))
    assert 440 <= filled(occupancy, "a", boxes=100) <= 450
    occupancy = Occupancy(Caps(900, 900))
    for _ in range(300):
        assert occupancy.enter("a", 0) is None
        assert occupancy.enter("b", 0) is None
    assert (occupancy.enter("a", 0), occupancy.enter("b", 0)) == ("org", "org")


@given(
    st.integers(min_value=10, max_value=2_000),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=400),
)
def test_whatever_others_hold_a_new_org_finds_a_place(in_all: int, arrivals: list[tuple[int, int]]) -> None:
    occupancy, of_box = Occupancy(Caps(in_all, 256)), Counter[tuple[int, int]]()
    for org, box in arrivals:
        if occupancy.enter(f"org-{org}", of_box[org, box]) is None:
            of_box[org, box] += 1
    assert occupancy.in_all < in_all
    assert occupancy.enter("new", 0) is None


def test_one_box_leaves_places_to_the_other_boxes_of_its_org() -> None:
    occupancy = Occupancy(Caps(450, 450))
    greedy = filled(occupancy, "a")
    assert greedy <= 450 // 3
    assert filled(occupancy, "a") >= 20


def test_a_connection_that_left_is_not_counted_any_more() -> None:
    occupancy = Occupancy(Caps(in_all=4, per_box=1))
    for _ in range(100):
        assert occupancy.enter("a", of_box=0) is None
        occupancy.leave("a")
    assert occupancy.in_all == 0
