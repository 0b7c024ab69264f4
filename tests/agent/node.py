"""An agent under test, its REST interface, and the servers that stand for its data planes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.node_agent import Agent, PrefacedServer, Rest
from tests.support.servers.process import free_port, short_folder


@dataclass(frozen=True, slots=True)
class Node:
    """An agent, its REST interface, and its two data planes."""

    agent: Agent
    rest: Rest
    planes: tuple[PrefacedServer, PrefacedServer]

    @property
    def folder(self) -> Path:
        """A folder with a short path, for sockets of boxes."""
        return self.agent.folder

    def plain(self) -> dict[str, str]:
        """Give a place that is free now."""
        return {"address": f"127.0.0.1:{free_port()}"}


@asynccontextmanager
async def agent_before(
    *planes: PrefacedServer,
    settings: Mapping[str, str] | None = None,
    descriptors: tuple[int, int] | None = None,
) -> AsyncIterator[Agent]:
    """Start the data planes and an agent in front of them; end all of them."""
    for plane in planes:
        await plane.start()
    targets = tuple(plane.target for plane in planes)
    agent = Agent(short_folder("agent"), targets, dict(settings or {}), descriptors=descriptors)
    for plane in planes:
        plane.keys = agent.public_keys
    try:
        async with agent.running():
            yield agent
    finally:
        for plane in planes:
            await plane.stop()
        agent.process.close()
