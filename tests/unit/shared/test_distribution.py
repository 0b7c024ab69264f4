"""Distributions, as the exposition format wants them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import HistogramMetricFamily

from shared.distribution import Distribution

BOUNDS = (0.1, 0.5, 1.0)


def buckets(distribution: Distribution) -> dict[str, float]:
    family = HistogramMetricFamily("aigw_test", "Test.", labels=())
    distribution.expose(family, [])
    return {one.labels["le"]: one.value for one in family.samples if "le" in one.labels}


def test_a_value_counts_in_every_bucket_from_its_own_on() -> None:
    distribution = Distribution(BOUNDS)
    for value in (0.1, 0.2, 7.0):
        distribution.add(value)
    assert buckets(distribution) == {"0.1": 1, "0.5": 2, "1.0": 2, "+Inf": 3}


@given(st.lists(st.floats(0, 2)))
def test_each_bucket_counts_the_values_up_to_its_bound(values: list[float]) -> None:
    distribution = Distribution(BOUNDS)
    for value in values:
        distribution.add(value)
    expected = {str(bound): sum(value <= bound for value in values) for bound in BOUNDS}
    assert buckets(distribution) == {**expected, "+Inf": len(values)}
    assert distribution.total == sum(values)
