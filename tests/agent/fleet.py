"""Real data planes behind a real agent, and boxes calling through them all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.agent.callers import repeated
from tests.support.commands import AIGW
from tests.support.gateway import clean_environment
from tests.support.node_agent import Agent
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.servers.process import ServerProcess, free_port

CALLERS: Final = 4
CONNECT_SECONDS: Final = 3
STOP_DELAY_SECONDS: Final = "3"
"""Longer than an agent's interval of health checks, so that each agent notices before the listener closes."""


@dataclass
class Fleet:
    """An installation with two data planes, an agent, and a box of an org with a key."""

    planes: PlanesApart
    folder: Path
    processes: list[ServerProcess] = field(default_factory=list)
    ports: list[tuple[int, int]] = field(default_factory=list)

    def start(self, number: int) -> None:
        """Start a data plane; its process is listening when its agent sees it ready."""
        boxes, admin = self.ports[number]
        changed = {
            "AIGW_BOX_PORT": str(boxes),
            "AIGW_ADMIN_PORT": str(admin),
            "AIGW_IDENTITY_MODE": "proxy-tlv",
            "AIGW_STOP_DELAY_SECONDS": STOP_DELAY_SECONDS,
        }
        environment = clean_environment(**{**self.planes.environment, **changed})
        self.processes[number].start([*AIGW, "data-plane"], lambda: True, environment)

    @property
    def targets(self) -> tuple[str, ...]:
        """The agent's setting for these data planes."""
        return tuple(f"tcp://127.0.0.1:{boxes}=http://127.0.0.1:{admin}" for boxes, admin in self.ports)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        """Start two data planes and an agent."""
        for number in range(2):
            self.processes.append(ServerProcess(self.folder / str(number)))
            (self.folder / str(number)).mkdir()
            self.ports.append((free_port(), free_port()))
        settings = {
            "AIGW_AGENT_NODE_KEY_FILE": str(self.planes.folder / "node.pem"),
            "AIGW_AGENT_KID": "n1",
            "AIGW_AGENT_CONNECT_SECONDS": str(CONNECT_SECONDS),
        }
        agent = Agent(self.folder / "agent", self.targets, settings)
        try:
            for number in range(2):
                self.start(number)
            async with agent.running():
                yield agent
        finally:
            for process in self.processes:
                process.close()
            agent.process.close()


@dataclass
class Load:
    """Callers that ask by a new connection each time, and count the statuses and failures."""

    url: str
    seen: Counter[str] = field(default_factory=Counter)

    def going_on(self) -> AbstractAsyncContextManager[None]:
        """Call until the block ends."""
        return repeated(CALLERS, self._call, pause_seconds=0.02)

    async def _call(self) -> None:
        self.seen[await self.ask()] += 1

    async def ask(self) -> str:
        """Call once; give the status, or the name of the failure."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                answer = await client.get(self.url, headers={"host": "10.0.2.2:1000"})
        except httpx.HTTPError as error:
            return type(error).__name__
        return str(answer.status_code)

    async def more(self, count: int) -> None:
        """Wait until so many more requests have succeeded."""
        wanted = self.seen["200"] + count

        async def are_there() -> bool:
            return self.seen["200"] >= wanted

        await eventually(are_there, "requests succeed", deadline_seconds=START_SECONDS)


async def are_ready(agent: Agent, ready: int) -> bool:
    """Whether the agent sees so many data planes ready."""
    async with agent.rest() as rest:
        text = (await rest.client.get("/metrics")).text
    lines = [line for line in text.splitlines() if 'condition="ready"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines) == ready
