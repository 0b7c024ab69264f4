"""Tests of `bench/measure.py`: how counts become figures."""

import pytest

from bench.measure import cpu_figures, derive

_COUNTED = {"responses": 1000.0, "events": 0.0, "seconds": 2.0}


def test_cpu_is_shared_out_over_requests_in_microseconds() -> None:
    figures = cpu_figures(_COUNTED, 0.03)
    assert figures["cpu_us_per_request"] == pytest.approx(30)
    assert figures["core_share"] == pytest.approx(0.015)
    assert "cpu_us_per_event" not in figures


def test_cpu_of_a_stream_is_shared_out_over_its_events() -> None:
    assert cpu_figures({**_COUNTED, "events": 200_000.0}, 6)["cpu_us_per_event"] == pytest.approx(30)


def test_rates_are_per_second_of_load() -> None:
    figures = derive({**_COUNTED, "events": 500.0})
    assert (figures["requests_per_second"], figures["events_per_second"]) == (500, 250)
