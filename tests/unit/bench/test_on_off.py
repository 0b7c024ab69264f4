"""Tests of `bench/trials/on_off.py`: how the turns of two data planes are compared."""

import pytest

from bench.measure import WrongAnswerError
from bench.trials.on_off import Turn, figures_of


def _turn(request: float, chunk: float) -> Turn:
    return {
        "json": {"loop_us_per_request": request, "foreign_share": 0},
        "sse": {"loop_us_per_event": chunk, "foreign_share": 0},
    }


def test_turns_are_compared_round_by_round_for_every_load() -> None:
    figures = figures_of(
        [_turn(30, 20), _turn(60, 10), _turn(30, 10)],
        [_turn(31.5, 20), _turn(63, 11), _turn(60, 9)],
        {"json": "request", "sse": "event"},
    )
    assert figures["json_on_over_off"] == pytest.approx(1.05)
    assert figures["sse_on_over_off"] == pytest.approx(1.0)
    assert (figures["json_off_us"], figures["json_on_us"]) == (30, 60)


def test_a_turn_without_any_cpu_is_a_failed_measurement() -> None:
    with pytest.raises(WrongAnswerError, match="too busy"):
        figures_of([_turn(0, 1)], [_turn(30, 1)], {"json": "request"})
