"""Fixtures of many tests: running gateways, a gateway per worker and kind, started at the first use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import openai
import pytest
from hypothesis import settings

from tests.support.box_clients import OpenAIInBox
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway

# A shared machine may hold any example up; what hangs is ended by the test's own time-out.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")

pytest_plugins = ("tests.support.servers.fixtures",)


@pytest.fixture(scope="session")
def static_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`aigw up` as started by a user: every caller is org demo, with the demo provider behind the gateway."""
    folder = tmp_path_factory.mktemp("static-gateway")
    with Gateway(folder, options=("--demo-pace-ms", "10")) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def header_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`aigw up` in header mode: a test makes orgs of its own, so tests do not meet."""
    folder = tmp_path_factory.mktemp("header-gateway")
    with Gateway(folder, options=("--identity-mode", "header")) as gateway:
        yield gateway


@pytest.fixture
async def control_plane(header_gateway: Gateway) -> AsyncIterator[ControlPlane]:
    """The control plane of the gateway in header mode."""
    async with ControlPlane.of(header_gateway) as client:
        yield client


@pytest.fixture
async def openai_in_box(header_gateway: Gateway) -> AsyncIterator[OpenAIInBox]:
    """Make openai clients as in the boxes of a gateway in header mode, by the box's token if given."""
    async with AsyncExitStack() as clients:

        def client(token: str | None) -> openai.AsyncOpenAI:
            made = openai.AsyncOpenAI(
                api_key="run9-placeholder",
                base_url=header_gateway.ready["base_urls"]["openai"],
                default_headers={} if token is None else {"X-Run9-Box-Token": token},
            )
            clients.push_async_callback(made.close)
            return made

        yield client
