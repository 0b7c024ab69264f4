"""Fixtures that many tests share: running gateways, one per worker and kind, started when first asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway


@pytest.fixture(scope="session")
def static_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`aigw up` as a user starts it: every caller is org demo, the demo provider behind it."""
    with Gateway(tmp_path_factory.mktemp("static-gateway")) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def header_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`aigw up` in header mode: a test makes orgs of its own, so that tests do not meet."""
    folder = tmp_path_factory.mktemp("header-gateway")
    with Gateway(folder, options=("--identity-mode", "header")) as gateway:
        yield gateway


@pytest.fixture
async def control_plane(header_gateway: Gateway) -> AsyncIterator[ControlPlane]:
    """The control plane of the gateway in header mode."""
    async with ControlPlane.of(header_gateway) as client:
        yield client
