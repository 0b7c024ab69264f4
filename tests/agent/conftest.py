"""A running agent in front of servers that stand for data planes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.agent.node import Node
from tests.support.node_agent import Agent, PrefacedServer
from tests.support.servers.process import short_folder


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    folder = short_folder("agent")
    first, second = PrefacedServer({}), PrefacedServer({})
    for plane in (first, second):
        await plane.start()
    agent = Agent(folder, (first.target, second.target))
    first.keys = second.keys = agent.public_keys
    try:
        async with agent.running(), agent.rest() as rest:
            yield Node(agent, rest, (first, second))
    finally:
        for plane in (first, second):
            await plane.stop()
        agent.process.close()
