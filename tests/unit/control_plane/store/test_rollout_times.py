"""How long a roll-out took: known once, kept, and never made up."""

from __future__ import annotations

from services.control_plane.store.rollout_times import RolloutTimes

CHANGE = ("epoch", "acme", "openai", 7)
OTHER = ("epoch", "acme", "openai", 8)


def test_it_is_the_time_of_the_last_process() -> None:
    times = RolloutTimes()
    assert times.seconds(CHANGE, 100, {"a": 100.5}, everywhere=False) is None
    assert times.seconds(CHANGE, 100, {"a": 100.5, "b": 102.0}, everywhere=True) == 2


def test_a_process_that_was_seen_once_need_not_be_seen_again() -> None:
    times = RolloutTimes()
    times.seconds(CHANGE, 100, {"a": 101.0}, everywhere=False)
    assert times.seconds(CHANGE, 100, {"a": None, "b": 100.5}, everywhere=True) == 1


def test_a_process_that_nobody_saw_makes_the_time_unknown() -> None:
    times = RolloutTimes()
    assert times.seconds(CHANGE, 100, {"a": 101.0, "b": None}, everywhere=True) is None
    assert times.seconds(OTHER, 100, {}, everywhere=True) is None


def test_what_is_known_stays_whoever_comes_later() -> None:
    times = RolloutTimes()
    assert times.seconds(CHANGE, 100, {"a": 101.0}, everywhere=True) == 1
    assert times.seconds(CHANGE, 100, {"a": 150.0, "new": None}, everywhere=True) == 1
    assert times.seconds(CHANGE, 100, {"a": None}, everywhere=False) is None
    assert times.seconds(OTHER, 100, {"a": None}, everywhere=True) is None


def test_a_clock_that_is_behind_makes_no_negative_time() -> None:
    assert RolloutTimes().seconds(CHANGE, 100, {"a": 99.0}, everywhere=True) == 0


def test_only_so_many_changes_are_remembered() -> None:
    times = RolloutTimes(max_changes=1)
    times.seconds(CHANGE, 100, {"a": 101.0}, everywhere=True)
    times.seconds(OTHER, 100, {"a": 103.0}, everywhere=True)
    assert times.seconds(CHANGE, 100, {"a": None}, everywhere=True) is None
