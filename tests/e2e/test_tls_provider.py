"""A provider behind TLS: reached by name with a verified certificate, or not at all."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import trustme

from tests.support.answers import json_answer
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("tls gateway")
KEY = "sk-key-behind-tls-000000001"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("tls-gateway")
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with Gateway(folder, environment={"AIGW_UPSTREAM_CA_FILE": str(ca_file)}) as gateway:
        yield gateway


@pytest.fixture
async def control_plane(gateway: Gateway) -> AsyncIterator[ControlPlane]:
    async with ControlPlane.of(gateway) as client:
        yield client


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def call(gateway: Gateway) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.get(f"{gateway.ready['base_urls']['openai']}models")


async def steps_of_a_test(control_plane: ControlPlane) -> list[str]:
    """Test the saved key: by the same certificates as any request."""
    answer = await control_plane.test("demo", "openai")
    assert answer.status_code == 200, answer.text
    assert answer.json()["tested"] == "stored"
    return [step["status"] for step in answer.json()["steps"]]


async def test_a_verified_provider_gets_the_key_and_the_name(
    gateway: Gateway, control_plane: ControlPlane, authority: trustme.CA
) -> None:
    answer = json_answer({"over": "tls"})
    tls = server_context(authority, "localhost")
    async with ScriptedUpstream(
        keys=frozenset({KEY.encode()}), respond=lambda _: answer, tls=tls
    ) as upstream:
        await control_plane.set_up("demo", "openai", KEY, f"https://localhost:{upstream.port}/v1")

        async def arrives() -> bool:
            return (await call(gateway)).content == b'{"over": "tls"}'

        await eventually(arrives, "the call reaches the provider")
        assert upstream.requests[0].values("host") == [f"localhost:{upstream.port}".encode()]
        assert await steps_of_a_test(control_plane) == ["ok", "ok", "ok", "unknown"]


@pytest.mark.parametrize("fault", ["another name", "another authority"])
async def test_a_provider_that_cannot_be_verified_gets_nothing(
    gateway: Gateway, control_plane: ControlPlane, authority: trustme.CA, fault: str
) -> None:
    if fault == "another name":
        tls = server_context(authority, "elsewhere.example")
    else:
        tls = server_context(trustme.CA(), "localhost")
    async with ScriptedUpstream(tls=tls) as upstream:
        await control_plane.set_up("demo", "openai", KEY, f"https://localhost:{upstream.port}/v1")

        async def is_refused() -> bool:
            answer = await call(gateway)
            return answer.status_code == 502 and answer.headers["x-run9-error"] == "upstream_unreachable"

        await eventually(is_refused, "the connection is refused")
        assert await steps_of_a_test(control_plane) == ["ok", "failed", "skipped", "skipped"]
        assert upstream.requests == []
        assert KEY not in (await call(gateway)).text
