"""The agent's settings: the required settings, and the permitted targets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.node_agent.settings import NodeAgentSettings
from shared.secret import Secret

GOOD: dict[str, Any] = {
    "agent_targets": "tcp://10.0.0.5:1001=http://10.0.0.5:9901, unix:///run/aigw/boxes.sock",
    "agent_node_key": Secret("pem"),
    "agent_kid": "node-1",
}


def test_targets_are_read_from_one_text_and_their_schemes_are_no_service_link() -> None:
    settings = NodeAgentSettings(**GOOD)
    assert [target.name for target in settings.targets()] == [
        "tcp://10.0.0.5:1001",
        "unix:///run/aigw/boxes.sock",
    ]
    assert settings.hand_over_socket.parent == settings.agent_socket.parent


@pytest.mark.parametrize(
    "change",
    [
        {"agent_targets": ""},
        {"agent_targets": "10.0.0.5:1001"},
        {"agent_node_key": Secret("")},
        {"agent_kid": ""},
        {"agent_socket": "/" + "x" * 100},
        {"agent_max_connections_per_box": 0},
    ],
)
def test_an_agent_that_could_not_work_does_not_start(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NodeAgentSettings(**(GOOD | change))
