"""The laboratory: an agent whose boxes are guests of real QEMU networking. `--lab full` is `make lab`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.agent.node import Node, agent_before
from tests.support.laboratory import need_a_laboratory
from tests.support.node_agent import PrefacedServer


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything.

    Attributes:
        boxes, orgs, requests: of the test with many boxes; the requests are of all boxes together.
        ports: the first and the last that are scanned.
        churn: boxes that come and go.
        upgrades: how often the agent is replaced under load.
        mutations: of a preface, of a header, and of a token: so many of each.
    """

    boxes: int
    orgs: int
    requests: int
    ports: tuple[int, int]
    churn: int
    upgrades: int
    mutations: int


SHORT: Final = Form(boxes=4, orgs=2, requests=120, ports=(980, 1030), churn=40, upgrades=1, mutations=300)
FULL: Final = Form(
    boxes=20, orgs=5, requests=10_000, ports=(1, 65_535), churn=20_000, upgrades=100, mutations=34_000
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab", choices=["short", "full"], default="short", help="length of the laboratory tests"
    )


@pytest.fixture(scope="session")
def form(pytestconfig: pytest.Config) -> Form:
    """How long the laboratory works."""
    return FULL if pytestconfig.getoption("--lab", "short") == "full" else SHORT


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """An agent and two servers that stand for data planes."""
    need_a_laboratory()
    planes = PrefacedServer({}), PrefacedServer({})
    async with agent_before(*planes) as agent, agent.rest() as rest:
        yield Node(agent, rest, planes)
