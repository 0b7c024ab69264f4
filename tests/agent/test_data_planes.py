"""Real data-plane processes behind a real agent: killed, drained and all gone, while boxes call."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.answers import json_answer
from tests.support.gateway import clean_environment
from tests.support.node_agent import Agent
from tests.support.planes_apart import PlanesApart
from tests.support.polling import START_SECONDS, eventually
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.servers.process import ServerProcess, free_port, short_folder

pytestmark = pytest.mark.timeout(300)
KEY: Final = "sk-key-of-the-fleet-0000001"
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
        self.processes[number].start([sys.executable, "-m", "aigw", "data-plane"], lambda: True, environment)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(f"tcp://127.0.0.1:{boxes}=http://127.0.0.1:{admin}" for boxes, admin in self.ports)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
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

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._call(stop))
            try:
                yield
            finally:
                stop.set()

    async def _call(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.seen[await self.ask()] += 1
            await asyncio.sleep(0.02)

    async def ask(self) -> str:
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


async def _is_ready(agent: Agent, ready: int) -> bool:
    async with agent.rest() as rest:
        text = (await rest.client.get("/metrics")).text
    lines = [line for line in text.splitlines() if 'condition="ready"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines) == ready


async def test_killed_and_drained_data_planes_cost_only_what_was_in_flight(tmp_path: Path) -> None:
    planes, folder = PlanesApart.in_folder(tmp_path), short_folder("fleet")
    fleet = Fleet(planes, folder)
    upstream = ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({}))
    async with AsyncExitStack() as stack:
        stack.enter_context(planes.plane("control-plane"))
        async with upstream, planes.rest() as control_plane:
            await planes.register_node(control_plane)
            org = await control_plane.new_org()
            await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
            agent = await stack.enter_async_context(fleet.running())
            address = f"127.0.0.1:{free_port()}"
            async with agent.rest() as rest:
                await rest.attached("a", org, {"address": address})
            load = Load(f"http://{address}/run9/ai/openai/v1/models")
            await eventually(lambda: _is_ready(agent, 2), "both are ready", deadline_seconds=START_SECONDS)

            async with load.going_on():
                await load.more(40)
                fleet.processes[0].kill()
                await load.more(40)
                killed = load.seen.total() - load.seen["200"]
                fleet.start(0)
                await eventually(
                    lambda: _is_ready(agent, 2), "both are ready", deadline_seconds=START_SECONDS
                )
                await load.more(20)
                fleet.processes[1].signal(signal.SIGTERM)
                await load.more(60)
                drained = load.seen.total() - load.seen["200"] - killed
            assert killed <= CALLERS, load.seen
            assert drained == 0, load.seen

            fleet.processes[0].stop()
            begun = time.monotonic()
            answers = await asyncio.gather(*(load.ask() for _ in range(8)))
            assert answers == ["503"] * 8
            assert time.monotonic() - begun < CONNECT_SECONDS + 10
        await asyncio.to_thread(planes.data.close)
