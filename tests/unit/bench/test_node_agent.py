"""Tests of `bench/trials/node_agent.py`: how the agent is compared with haproxy."""

import pytest

from bench.measure import Figures
from bench.trials.node_agent import figures_of


def _turn(request: float, event: float) -> dict[str, Figures]:
    return {
        "request": {"loop_us_per_request": request, "foreign_share": 0.2},
        "event": {"loop_us_per_event": event, "foreign_share": 0.4},
    }


def test_the_agent_is_compared_with_haproxy_round_by_round() -> None:
    figures = figures_of(
        [_turn(12, 22), _turn(26, 20), _turn(11, 30)], [_turn(10, 20), _turn(20, 20), _turn(10, 20)]
    )
    assert figures["request_over_haproxy"] == pytest.approx(1.2)
    assert figures["event_over_haproxy"] == pytest.approx(1.1)
    assert (figures["agent_us_per_request"], figures["haproxy_us_per_request"]) == (12, 10)
    assert figures["foreign_share"] == pytest.approx(0.3)
