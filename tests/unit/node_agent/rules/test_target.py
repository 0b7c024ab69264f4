"""Targets as the setting writes them, and the order of the agent's attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.node_agent.rules.target import Condition, Standing, Target, TargetError, order_of, read_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("tcp://10.0.0.5:1001", Target("tcp", host="10.0.0.5", port=1001)),
        ("tls://dp-1.example:8443", Target("tls", host="dp-1.example", port=8443)),
        ("tcp://[fd00::5]:1001", Target("tcp", host="fd00::5", port=1001)),
        ("unix:///run/aigw/box.sock", Target("unix", path="/run/aigw/box.sock")),
        (
            "tcp://10.0.0.5:1001=http://10.0.0.5:9901",
            Target("tcp", host="10.0.0.5", port=1001, health_url="http://10.0.0.5:9901/readyz"),
        ),
        (
            "unix:///run/box.sock=http://127.0.0.1:9901/other",
            Target("unix", path="/run/box.sock", health_url="http://127.0.0.1:9901/other"),
        ),
    ],
)
def test_a_target_is_read(text: str, target: Target) -> None:
    assert read_target(text) == target
    assert text.startswith(target.name)


@pytest.mark.parametrize(
    "text",
    [
        *("", "10.0.0.5:1001", "http://10.0.0.5:1001", "tcp://10.0.0.5", "tcp://10.0.0.5:99999", "tcp://:1"),
        *("tcp://u@h:1", "tcp://h:1/path", "tcp://h:1?x", "unix://h/p", "unix://", "tcp://h:1=ftp://h"),
        *("tcp://h:1=http://", "tcp://h:0"),
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(TargetError):
        read_target(text)


def test_ready_targets_come_first_and_of_these_the_least_used() -> None:
    standings = [
        Standing(Condition.UNREACHABLE, 0),
        Standing(Condition.READY, 5),
        Standing(Condition.DRAINING, 0),
        Standing(Condition.READY, 2),
        Standing(Condition.UNKNOWN, 0),
    ]
    assert order_of(standings, turn=0) == [3, 1, 4, 2, 0]


@given(
    st.lists(st.builds(Standing, st.sampled_from(Condition), st.integers(0, 9)), max_size=8),
    st.integers(0, 99),
)
def test_every_target_is_tried_once(standings: list[Standing], turn: int) -> None:
    assert sorted(order_of(standings, turn)) == list(range(len(standings)))


def test_equal_targets_take_turns() -> None:
    standings = [Standing(Condition.READY, 0)] * 3
    assert {order_of(standings, turn)[0] for turn in range(3)} == {0, 1, 2}
