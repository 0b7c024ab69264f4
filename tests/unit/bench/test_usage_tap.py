"""Tests of `bench/trials/usage_tap.py`: the bench's answer states its usage, so the tap has work."""

from bench.workload import answer_body
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import Usage


def test_the_answer_of_the_bench_says_its_usage_so_that_reading_it_is_measured() -> None:
    assert UsageTap(answer_body()).read().usage == Usage(212, 128, 0, 46, 0)
