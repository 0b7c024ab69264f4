"""Tests of `shared/clock.py`: the only door to wall time and how a time is written."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.clock import rfc3339, unix_now, utc


def test_now_lies_between_two_readings_of_the_system_clock() -> None:
    before = datetime.now(tz=UTC).timestamp()  # noqa: TID251  # the door is compared with what it stands for
    now = unix_now()
    assert before <= now <= before + 60


def test_a_time_is_written_in_utc_with_milliseconds_and_a_z() -> None:
    assert rfc3339(1_793_700_900.123) == "2026-11-03T10:15:00.123Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_written_time_reads_back_to_the_millisecond(milliseconds: int) -> None:
    read = datetime.fromisoformat(rfc3339(milliseconds / 1000))
    assert abs(read.timestamp() * 1000 - milliseconds) <= 1
    assert read.utcoffset() == utc(0).utcoffset()
