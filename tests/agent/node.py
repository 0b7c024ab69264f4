"""An agent under test, its REST interface, and the servers that stand for its data planes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.node_agent import Agent, PrefacedServer, Rest
from tests.support.servers.process import free_port


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
