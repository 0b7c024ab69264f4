"""Tests of `bench/proc.py`: how CPU time and memory are read from /proc."""

import pytest

from bench.proc import Stat, descendants, parse_core_ticks, parse_stat

_LINE = (
    "4242 (a (nasty) name) S 17 4242 4242 0 -1 4194560 1200 0 3 0 250 50 7 9 20 0 4 0 88888 123456789 2048 "
    "18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0"
)


def test_a_stat_line_gives_parent_own_ticks_and_resident_pages() -> None:
    assert parse_stat(_LINE) == Stat(pid=4242, parent=17, cpu_ticks=300, resident_pages=2048)


def test_a_line_without_a_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        parse_stat("1 2 3")


def test_the_tree_is_the_root_and_all_that_descends_from_it_and_nobody_else() -> None:
    everyone = [Stat(pid, parent, 1, 1) for pid, parent in ((1, 0), (5, 3), (3, 2), (2, 1), (4, 1), (6, 5))]
    assert {stat.pid for stat in descendants(2, everyone)} == {2, 3, 5, 6}


def test_a_root_that_has_ended_has_no_tree() -> None:
    assert descendants(9, [Stat(1, 0, 1, 1)]) == []


def test_a_core_is_busy_with_all_but_idling_and_waiting() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 4 1000 1000 8 16 32 0 0\nintr 5\n"
    assert parse_core_ticks(text, 1) == 63
    with pytest.raises(LookupError):
        parse_core_ticks(text, 7)
