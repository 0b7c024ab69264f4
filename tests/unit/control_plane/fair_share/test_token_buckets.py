"""Token buckets: a burst, then the refill; each key by itself; bounded memory."""

from __future__ import annotations

import pytest

from services.control_plane.fair_share.token_buckets import TokenBuckets


class Time:
    """Seconds moved by a test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_is_a_burst_and_then_each_token_takes_its_time() -> None:
    time = Time()
    buckets = TokenBuckets(6, time)
    assert [buckets.take("a") for _ in range(6)] == [0.0] * 6
    assert buckets.take("a") == pytest.approx(10)
    time.now += 4
    assert buckets.take("a") == pytest.approx(6)
    time.now += 6
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0


def test_a_bucket_never_holds_more_than_its_size() -> None:
    time = Time()
    buckets = TokenBuckets(2, time)
    buckets.take("a")
    time.now += 3600
    assert [buckets.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_a_short_burst_makes_the_bucket_small_and_leaves_the_refill_as_it_is() -> None:
    time = Time()
    buckets = TokenBuckets(60, time, burst_seconds=10)
    assert [buckets.take("a") > 0 for _ in range(11)] == [False] * 10 + [True]
    assert buckets.take("a") == pytest.approx(1)


def test_what_costs_more_waits_longer_but_a_full_bucket_is_always_enough() -> None:
    time = Time()
    buckets = TokenBuckets(60, time, burst_seconds=10)
    assert buckets.take("a", 8) == 0
    assert buckets.take("a", 8) == pytest.approx(6)
    time.now += 10
    assert buckets.take("a", 1_000) == 0
    assert TokenBuckets(1, time, burst_seconds=10).take("b") == 0


def test_one_key_takes_nothing_from_another() -> None:
    buckets = TokenBuckets(1, Time())
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0


def test_the_key_that_was_seen_longest_ago_is_forgotten_first() -> None:
    buckets = TokenBuckets(1, Time(), max_keys=2)
    for key in ("a", "b", "a", "c"):  # so that `b` is forgotten
        buckets.take(key)
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0
