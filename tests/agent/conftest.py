"""A running agent in front of servers that stand for data planes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.agent.node import Node, agent_before
from tests.support.node_agent import PrefacedServer


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    planes = PrefacedServer({}), PrefacedServer({})
    async with agent_before(*planes) as agent, agent.rest() as rest:
        yield Node(agent, rest, planes)
