"""Tests of `bench/trials/usage_tap.py`: how turns are compared; and the bench's answer says its usage."""

import pytest

from bench.measure import WrongAnswerError
from bench.trials.usage_tap import Turn, figures_of
from bench.workload import answer_body
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import Usage


def _turn(request: float, chunk: float) -> Turn:
    return {
        "json": {"cpu_us_per_request": request, "foreign_share": 0},
        "sse": {"cpu_us_per_event": chunk, "foreign_share": 0},
    }


def test_turns_are_compared_in_pairs_for_both_loads() -> None:
    figures = figures_of(
        [_turn(30, 20), _turn(60, 10), _turn(30, 10)], [_turn(31.5, 20), _turn(63, 11), _turn(60, 9)]
    )
    assert figures["json_on_over_off"] == pytest.approx(1.05)
    assert figures["sse_on_over_off"] == pytest.approx(1.0)
    assert (figures["json_off_us"], figures["json_on_us"]) == (30, 60)


def test_a_turn_without_any_cpu_is_a_failed_measurement() -> None:
    with pytest.raises(WrongAnswerError, match="too busy"):
        figures_of([_turn(0, 1)], [_turn(30, 1)])


def test_the_answer_of_the_bench_says_its_usage_so_that_reading_it_is_measured() -> None:
    assert UsageTap(answer_body()).read().usage == Usage(212, 128, 0, 46, 0)
