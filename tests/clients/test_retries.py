"""What the official Python SDKs do with a 503 of the gateway: they wait two seconds and try again."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anthropic
import httpx
import httpx2
import openai
import pytest

from shared.listener import bind, port_of
from shared.providers import ProviderName
from tests.clients.org import KEYS, Org
from tests.clients.provider_answers import anthropic_answer, openai_answer
from tests.support.commands import AIGW
from tests.support.gateway import STOP_SECONDS, Gateway, clean_environment
from tests.support.polling import eventually
from tests.support.scripted_upstream import ReceivedRequest, ScriptedUpstream, WaitFor

pytestmark = pytest.mark.xdist_group("real clients")
ANSWERS = {"openai": openai_answer, "anthropic": anthropic_answer}


async def ask(provider: ProviderName, origin: str, retries: int) -> None:
    """Call a model once by the SDK of a provider, with as many retries."""
    if provider == "openai":
        url = f"{origin}/run9/ai/openai/v1/"
        async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=retries) as by_openai:
            await by_openai.responses.create(model="gpt-5", input="hi")
        return
    url = f"{origin}/run9/ai/anthropic"
    async with anthropic.AsyncAnthropic(auth_token="x", base_url=url, max_retries=retries) as by_anthropic:
        await by_anthropic.messages.create(
            model="claude-sonnet-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )


async def refusal(provider: ProviderName, origin: str, retries: int) -> httpx2.Response:
    """Call once, be refused, and give the last answer."""
    try:
        await ask(provider, origin, retries)
    except (openai.InternalServerError, anthropic.InternalServerError) as error:
        return error.response
    raise AssertionError("it was not refused")


@pytest.fixture(scope="module")
def narrow_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with room for one request of a box at a time."""
    folder = tmp_path_factory.mktemp("narrow-gateway")
    with Gateway(folder, environment={"AIGW_MAX_REQUESTS_PER_BOX": "1"}) as gateway:
        yield gateway


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_an_overloaded_gateway_is_tried_again(narrow_gateway: Gateway, provider: ProviderName) -> None:
    origin, free = narrow_gateway.origin, asyncio.Event()
    keys = frozenset({KEYS[provider].encode()})
    async with (
        ScriptedUpstream(keys=keys, respond=ANSWERS[provider]) as upstream,
        Org.of(narrow_gateway) as org,
        asyncio.TaskGroup() as group,
    ):
        await org.aim(provider, upstream)
        upstream.respond = lambda request: (WaitFor(free), *ANSWERS[provider](request))
        first = group.create_task(ask(provider, origin, 0))
        await upstream.wait_for(lambda: len(upstream.requests) == 1)
        refused = await refusal(provider, origin, 0)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert "Too many requests are open at once" in refused.text
        second = group.create_task(ask(provider, origin, 2))

        async def is_refused() -> bool:
            return [call["code"] for call in await org.calls()] == ["overloaded"] * 2

        await eventually(is_refused, "the second call was refused once")
        free.set()
        await asyncio.gather(first, second)
        assert [_retries(request) for request in upstream.requests] == [b"0", b"1"]
        assert [call["status"] for call in await org.calls()] == [503, 503, 200, 200]


def _retries(request: ReceivedRequest) -> bytes:
    (count,) = request.values("x-stainless-retry-count")
    return count


@pytest.fixture
async def unconfigured(tmp_path: Path) -> AsyncIterator[str]:
    """A data plane that has no configuration yet, because there is no control plane; gives its origin."""
    listeners = [bind("127.0.0.1", 0, option="test") for _ in range(2)]
    box_port, admin_port = map(port_of, listeners)
    for listener in listeners:
        listener.close()
    environment = clean_environment(
        AIGW_ENVIRONMENT="development",
        AIGW_IDENTITY_MODE="static",
        AIGW_STATIC_ORG="demo",
        AIGW_BOX_PORT=str(box_port),
        AIGW_ADMIN_PORT=str(admin_port),
        AIGW_SECRET_STORE_URL=f"local://{tmp_path}",
        AIGW_CONTROL_PLANE_INTERNAL_URL="http://127.0.0.1:9",
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [*AIGW, "data-plane"]
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)  # noqa: ASYNC220  # it runs beside the test
    origin = f"http://127.0.0.1:{box_port}"

    async def answers() -> bool:
        assert process.poll() is None, log.read_text()
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.head(f"{origin}/run9/ai/openai")).is_success
            except httpx.TransportError:
                return False

    try:
        await eventually(answers, "the data plane answers")
        yield origin
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_gateway_without_configuration_is_tried_again(
    unconfigured: str, provider: ProviderName
) -> None:
    refused = await refusal(provider, unconfigured, 1)
    assert refused.headers["x-run9-error"] == "config_unavailable"
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.request.headers["x-stainless-retry-count"] == "1"
    assert "The gateway has no current configuration" in refused.text
