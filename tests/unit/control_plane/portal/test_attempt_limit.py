"""A sliding minute per address."""

from __future__ import annotations

from services.control_plane.portal.attempt_limit import MAX_ADDRESSES, WINDOW_SECONDS, AttemptLimit


def test_attempts_above_the_limit_wait_until_the_oldest_is_a_minute_old() -> None:
    now = [0.0]
    limit = AttemptLimit(lambda: now[0], max_attempts=2)
    assert [limit.wait_seconds("a"), limit.wait_seconds("a")] == [0, 0]
    now[0] = 10
    assert limit.wait_seconds("a") == WINDOW_SECONDS - 10
    assert limit.wait_seconds("b") == 0
    now[0] = WINDOW_SECONDS
    assert limit.wait_seconds("a") == 0


def test_memory_is_bounded_by_forgetting_who_was_away_longest() -> None:
    limit = AttemptLimit(lambda: 0.0, max_attempts=1)
    for number in range(MAX_ADDRESSES + 1):
        limit.wait_seconds(str(number))
    assert limit.wait_seconds("0") == 0
    assert limit.wait_seconds(str(MAX_ADDRESSES)) > 0


def test_an_attempt_that_was_no_guess_is_forgiven() -> None:
    limit = AttemptLimit(lambda: 0.0, max_attempts=1)
    limit.forgive("a")
    for _ in range(3):
        assert limit.wait_seconds("a") == 0
        limit.forgive("a")
    assert limit.wait_seconds("a") == 0
    assert limit.wait_seconds("a") > 0
