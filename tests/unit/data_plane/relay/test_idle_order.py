"""Which connection makes room: the longest idle of a bounded number, and busy ones stand aside."""

from __future__ import annotations

from dataclasses import dataclass

from services.data_plane.relay.idle_order import MAX_LOOKED_AT, IdleOrder, longest_idle


@dataclass(eq=False)
class One:
    """Idle since a time, or busy. Counts how often it was looked at."""

    idle: float | None
    looks: int = 0

    def idle_since(self) -> float | None:
        self.looks += 1
        return self.idle


def test_the_longest_idle_is_chosen_and_a_weight_goes_before_the_time() -> None:
    busy, young, old = One(None), One(2.0), One(1.0)
    assert longest_idle([busy, young, old]) is old
    assert longest_idle([busy, young, old], lambda one: int(one is young)) is young
    assert longest_idle([busy]) is None
    assert longest_idle(list[One]()) is None


def test_busy_connections_stand_aside_so_that_idle_ones_behind_them_are_found() -> None:
    order: IdleOrder[One] = IdleOrder()
    for _ in range(3 * MAX_LOOKED_AT):
        order.add(One(None))
    order.add(last := One(1.0))
    assert [order.choose() for _ in range(4)] == [None, None, None, last]


def test_no_choice_looks_at_more_than_the_bound() -> None:
    order: IdleOrder[One] = IdleOrder()
    many = [One(float(number)) for number in range(10 * MAX_LOOKED_AT)]
    for one in many:
        order.add(one)
    assert order.choose() is many[0]
    assert sum(one.looks > 0 for one in many) == MAX_LOOKED_AT
    order.discard(many[0])
    order.discard(many[0])
    assert (order.choose(), len(order)) == (many[1], len(many) - 1)
