"""Tests of `bench/summary.py`: medians, spreads and ratios."""

import pytest

from bench.summary import Sample, Spread, Summary

_SAMPLES = [
    Sample("json", who, number, {"cpu": value})
    for who, values in (("nginx", (20.0, 30.0, 25.0)), ("gateway", (30.0, 27.5, 60.0)), ("direct", (10.0,)))
    for number, value in enumerate(values)
]


def test_a_spread_has_the_median_and_both_ends() -> None:
    assert Summary(_SAMPLES).spread("json", "nginx", "cpu") == Spread(25, 20, 30)


def test_a_ratio_compares_medians_so_that_one_disturbed_round_changes_nothing() -> None:
    assert Summary(_SAMPLES).ratio("json", "gateway", "cpu", "nginx") == pytest.approx(1.2)


def test_nothing_is_compared_with_itself_or_with_what_was_not_measured() -> None:
    summary = Summary(_SAMPLES)
    assert summary.ratio("json", "nginx", "cpu", "nginx") is None
    assert summary.ratio("json", "gateway", "cpu", "absent") is None
    assert summary.spread("sse", "nginx", "cpu") is None


def test_added_is_the_difference_to_no_proxy() -> None:
    assert Summary(_SAMPLES).added("json", "gateway", "cpu", "direct") == 20
    assert Summary(_SAMPLES).added("json", "direct", "cpu", "direct") is None


def test_measurements_that_had_to_share_their_core_are_counted() -> None:
    shares = [
        Sample("json", "nginx", number, {"foreign_share": share}) for number, share in enumerate((0.0, 0.5))
    ]
    assert Summary([*_SAMPLES, *shares]).disturbed() == (1, 2)
