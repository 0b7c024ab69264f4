"""The users that may call the agent's REST interface."""

from __future__ import annotations

import pytest

from services.node_agent.rest.peers import may_call


@pytest.mark.parametrize(
    ("user", "own_user", "allowed"),
    [(0, 0, True), (0, 990, True), (990, 990, True), (1000, 990, False), (1000, 0, False), (65534, 0, False)],
)
def test_root_and_the_agents_own_user_may_call(user: int, own_user: int, allowed: bool) -> None:  # noqa: FBT001  # a case of the table
    assert may_call(user, own_user) is allowed
