"""Boxes use up descriptors: other orgs are answered, and REST as well (threat 26)."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest

from tests.agent.node import Node, agent_before
from tests.support.node_agent import PrefacedServer

SILENT: Final = 1_200
BOXES: Final = 9
CONNECTIONS_PER_BOX: Final = 450
REQUESTS: Final = 40


@pytest.fixture(autouse=True)
def _enough_descriptors() -> Iterator[None]:
    """Let this process hold the boxes' ends and the data planes'."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def node_with(soft: int, hard: int) -> AsyncIterator[Node]:
    planes = PrefacedServer({}), PrefacedServer({})
    async with agent_before(*planes, descriptors=(soft, hard)) as agent, agent.rest() as rest:
        yield Node(agent, rest, planes)


class Crowd:
    """Connections silent after their first bytes."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def add(self, address: str, count: int, first: bytes = b"") -> None:
        host, _, port = address.rpartition(":")
        opened = await asyncio.gather(
            *(asyncio.open_connection(host, int(port)) for _ in range(count)), return_exceptions=True
        )
        for one in opened:
            if not isinstance(one, BaseException):
                self._writers.append(one[1])
                one[1].write(first)

    def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def statuses(address: str) -> list[int]:
    """Ask by a new connection each time."""
    found = []
    for _ in range(REQUESTS):
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            found.append((await client.get(f"http://{address}/")).status_code)
    return found


async def numbers(node: Node) -> dict[str, float]:
    text = (await node.rest.client.get("/metrics")).text
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def told(node: Node, box: str) -> int:
    return node.agent.process.log.count(f"box {box}: A connection was refused")


async def test_silent_connections_of_one_box_beyond_the_limit_leave_others_answered() -> None:
    crowd = Crowd()
    async with node_with(1_024, 1_024) as node:
        greedy, sibling, calm = node.plain(), node.plain(), node.plain()
        await node.rest.attached("greedy", "attacker", greedy)
        await node.rest.attached("sibling", "attacker", sibling)
        await node.rest.attached("calm", "acme", calm)
        try:
            for _ in range(0, SILENT, 100):
                await crowd.add(greedy["address"], 100)
            assert await statuses(calm["address"]) == [200] * REQUESTS
            assert await statuses(sibling["address"]) == [200] * REQUESTS
            await node.rest.attached("late", "acme", node.plain())
            assert (await node.rest.client.get("/readyz")).status_code == 200
            found = await numbers(node)
        finally:
            crowd.leave()
        assert found['aigw_agent_refused_total{cap="box"}'] >= SILENT - found["aigw_agent_max_connections"]
        assert found["aigw_agent_connections"] <= found["aigw_agent_max_connections"] < 512
        assert 1 <= told(node, "greedy") <= 3  # at most once in ten seconds
        assert "Too many open files" not in node.agent.process.log


async def test_nine_boxes_of_one_org_each_within_its_cap_leave_another_org_answered() -> None:
    """The soft limit is the common limit of 1,024; the agent raises the soft limit to the hard limit."""
    crowd = Crowd()
    async with node_with(1_024, 4_096) as node:
        calm = node.plain()
        await node.rest.attached("calm", "acme", calm)
        places = [node.plain() for _ in range(BOXES)]
        for number, place in enumerate(places):
            await node.rest.attached(f"greedy-{number}", "attacker", place)
        try:
            for _ in range(0, CONNECTIONS_PER_BOX, 50):
                for place in places:
                    await crowd.add(place["address"], 50, b"GET /socket HTTP/1.1\r\nhost: h\r\n\r\n")
            assert await statuses(calm["address"]) == [200] * REQUESTS
            assert (await node.rest.client.get("/readyz")).status_code == 200
            found = await numbers(node)
        finally:
            crowd.leave()
        assert 1_500 < found["aigw_agent_max_connections"] < 2_048
        assert found['aigw_agent_refused_total{cap="org"}'] > 0
        assert found["aigw_agent_connections"] <= found["aigw_agent_max_connections"] / 2 + 1
        assert "Too many open files" not in node.agent.process.log
