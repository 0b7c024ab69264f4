"""A gateway for real clients, its only org, a provider of each kind, and a fresh box for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.clients.box import Box
from tests.clients.org import BASE_PATH, KEYS, Org
from tests.clients.provider_answers import anthropic_answer, openai_answer
from tests.support.gateway import Gateway
from tests.support.scripted_upstream import ScriptedUpstream

_ENDPOINT_PATH = f"{BASE_PATH}/v1/".encode()


@pytest.fixture(scope="session")
def client_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`aigw up` as started by a user; its only org is aimed by each test."""
    offered = {"AIGW_PROVIDERS": "openai,anthropic,gemini"}
    with Gateway(tmp_path_factory.mktemp("client-gateway"), environment=offered) as gateway:
        yield gateway


@pytest.fixture
async def org(client_gateway: Gateway) -> AsyncIterator[Org]:
    """The org of every box."""
    async with Org.of(client_gateway) as org:
        yield org


@pytest.fixture
def box(client_gateway: Gateway, tmp_path: Path) -> Box:
    """A box with the lines of every box."""
    return Box(client_gateway, tmp_path / "home")


@pytest.fixture
async def openai_provider(org: Org) -> AsyncIterator[ScriptedUpstream]:
    """OpenAI as set up by the org. The provider takes the org's key only, and a single key."""
    keys = frozenset({KEYS["openai"].encode()})
    async with ScriptedUpstream(keys=keys, base_path=_ENDPOINT_PATH, respond=openai_answer) as upstream:
        await org.aim("openai", upstream)
        yield upstream


@pytest.fixture
async def anthropic_provider(org: Org) -> AsyncIterator[ScriptedUpstream]:
    """Anthropic as set up by the org."""
    keys = frozenset({KEYS["anthropic"].encode()})
    async with ScriptedUpstream(keys=keys, base_path=_ENDPOINT_PATH, respond=anthropic_answer) as upstream:
        await org.aim("anthropic", upstream)
        yield upstream
