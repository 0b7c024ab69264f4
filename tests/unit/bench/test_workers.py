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
