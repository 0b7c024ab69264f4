"""Tests of `bench/rounds.py`: how rounds are shuffled and repeated."""

from collections import Counter

from bench.listing import ROWS
from bench.rounds import Plan, does
from bench.subjects.listing import NO_PROXY, SUBJECTS, YARDSTICK


def _plan(*, most_rounds: int, seed: int = 1) -> Plan:
    return Plan(ROWS, SUBJECTS, most_rounds=most_rounds, seconds_factor=1, seed=seed)


def test_every_row_is_played_its_own_number_of_times_with_every_subject_that_can() -> None:
    turns = Counter(
        (row.name, subject.name) for turns in _plan(most_rounds=100).rounds() for _, row, subject in turns
    )
    wanted = {(row.name, one.name): row.rounds for row in ROWS for one in SUBJECTS if does(one, row)}
    assert turns == wanted


def test_a_cap_shortens_all_rows_and_the_order_changes_with_the_seed() -> None:
    (one,) = _plan(most_rounds=1, seed=1).rounds()
    (other,) = _plan(most_rounds=1, seed=2).rounds()
    assert one != other
    assert {(row.name, who.name) for _, row, who in one} == {(row.name, who.name) for _, row, who in other}


def test_names_are_unique_and_the_yardsticks_exist() -> None:
    names = [subject.name for subject in SUBJECTS]
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {YARDSTICK, NO_PROXY} <= set(names)
    assert all(row.left_out <= set(names) for row in ROWS)
