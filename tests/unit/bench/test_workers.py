"""Tests of `bench/trials/workers.py`: how one process and two workers are compared."""

import pytest

from bench.measure import Figures
from bench.trials.workers import figures_of


def _turn(us: float, busiest_us: float, rate: float) -> Figures:
    return {"us": us, "busiest_us": busiest_us, "rate": rate, "foreign_share": 0.0}


def test_the_gain_is_of_requests_a_second_round_by_round() -> None:
    one = [_turn(20, 20, rate) for rate in (100, 200, 100)]
    two = [_turn(22, 11, rate) for rate in (190, 370, 200)]
    figures = figures_of(one, two)
    assert figures["gain"] == pytest.approx(1.9)
    assert figures["least_gain"] == pytest.approx(1.85)


def test_run_time_is_shared_out_over_all_requests_and_the_busiest_is_told() -> None:
    figures = figures_of([_turn(20, 20, 100)] * 3, [_turn(25, 15, 180)] * 3)
    assert (figures["one_us"], figures["two_us"]) == (20, 25)
    assert figures["busiest_share"] == pytest.approx(0.6)
