"""Tests of `bench/turns.py`: everything plays once per round, in changing order."""

from functools import partial

from bench.measure import Figures
from bench.turns import median_of, play_turns, ratio_of


def test_everything_plays_once_in_each_round_and_the_order_changes() -> None:
    played: list[str] = []

    def turn(name: str) -> str:
        played.append(name)
        return name

    taken = play_turns({name: partial(turn, name) for name in "abc"}, 8)
    orders = {tuple(played[at : at + 3]) for at in range(0, 24, 3)}
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(orders) > 1
    assert taken == {name: [name] * 8 for name in "abc"}


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds() -> None:
    ours: list[Figures] = [{"us": 11}, {"us": 30}, {"us": 12}]
    theirs: list[Figures] = [{"us": 10}, {"us": 20}, {"us": 10}]
    assert ratio_of(ours, theirs, "us") == 1.2
    assert median_of(ours, "us") == 12
