"""Tests of `bench/trials/workers.py`: how one process and two workers are compared."""

import pytest

from bench.measure import WrongAnswerError
from bench.trials.workers import figures_of


def test_the_gain_is_what_the_busiest_worker_leaves_room_for() -> None:
    one = [{"us": us, "foreign_share": 0.0} for us in (20.0, 40.0, 20.0)]
    two = [
        {"us": us, "busiest_us": busiest, "foreign_share": 0.0}
        for us, busiest in ((20.0, 10.0), (44.0, 22.0), (25.0, 12.5))
    ]
    figures = figures_of(one, two)
    assert figures["gain"] == pytest.approx(40 / 22)
    assert figures["busiest_share"] == 0.5
    assert (figures["one_us"], figures["two_us"]) == (20, 25)


def test_workers_without_any_cpu_are_a_failed_measurement() -> None:
    with pytest.raises(WrongAnswerError, match="too busy"):
        figures_of([{"us": 20, "foreign_share": 0}], [{"us": 0, "busiest_us": 0, "foreign_share": 0}])


def test_the_gain_of_limited_processes_is_of_requests_a_second_round_by_round() -> None:
    one = [{"us": 20.0, "foreign_share": 0.0, "limited_rate": rate} for rate in (100.0, 200.0, 100.0)]
    two = [
        {"us": 20.0, "busiest_us": 10.0, "foreign_share": 0.0, "limited_rate": rate}
        for rate in (190.0, 370.0, 200.0)
    ]
    assert figures_of(one, two)["limited_gain"] == pytest.approx(1.9)


def test_without_a_limit_there_is_no_gain_of_limited_processes() -> None:
    one, two = {"us": 20.0, "foreign_share": 0.0}, {"us": 20.0, "busiest_us": 10.0, "foreign_share": 0.0}
    assert "limited_gain" not in figures_of([one], [two])
