"""The pauses between attempts double up to their bound, and a fleet's do not fall together."""

from __future__ import annotations

import pytest

from shared.backoff import Backoff, jittered


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (10**6, 30.0)]
)
def test_each_failure_doubles_the_pause_up_to_its_bound(failures: int, seconds: float) -> None:
    assert Backoff(first_seconds=0.5, last_seconds=30.0).pause_seconds(failures) == seconds


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
def test_a_pause_moves_by_its_share_either_way(random: float, seconds: float) -> None:
    assert jittered(10.0, 0.1, random) == pytest.approx(seconds)
