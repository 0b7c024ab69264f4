"""Tests of the count of steps."""

from shared.countdown import Countdown


def test_the_last_step_and_no_other_calls_back() -> None:
    calls: list[str] = []
    countdown = Countdown(2, lambda: calls.append("done"))
    countdown.step()
    assert calls == []
    countdown.step()
    countdown.step()
    assert calls == ["done"]
