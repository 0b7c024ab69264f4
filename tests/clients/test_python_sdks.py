"""Python's `openai` and `anthropic` beyond plain calls: helpers, raw answers, uploads, cuts and time-outs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import anthropic
import httpx2
import openai
import pytest

from tests.clients.box import Box
from tests.clients.installed import program
from tests.clients.org import BASE_PATH, Org
from tests.clients.provider_answers import (
    TEXT,
    VECTOR,
    WORDS,
    anthropic_answer,
    first_half,
    openai_answer,
)
from tests.clients.wire import as_seen
from tests.support.polling import eventually
from tests.support.scripted_upstream import Close, ScriptedUpstream, Send, WaitFor

pytestmark = pytest.mark.xdist_group("real clients")
CUT_SECONDS = 5.0


@pytest.fixture
async def openai_client(box: Box) -> AsyncIterator[openai.AsyncOpenAI]:
    url = box.variables["OPENAI_BASE_URL"]
    async with openai.AsyncOpenAI(api_key="run9-placeholder", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic_client(box: Box) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = box.variables["ANTHROPIC_BASE_URL"]
    async with anthropic.AsyncAnthropic(auth_token="run9-placeholder", base_url=url, max_retries=0) as client:
        yield client


async def read_openai(client: openai.AsyncOpenAI) -> list[str]:
    stream = await client.responses.create(model="gpt-5", input="hi", stream=True)
    return [event.type async for event in stream]


async def read_anthropic(client: anthropic.AsyncAnthropic) -> str:
    async with client.messages.stream(
        model="claude-sonnet-5", max_tokens=10, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        return await stream.get_final_text()


async def test_openai_works_in_full_and_its_provider_sees_no_gateway(
    box: Box, openai_provider: ScriptedUpstream
) -> None:
    command = (sys.executable, program("python_openai.py"))
    found = (await box.run(*command)).json()
    assert found["sync"] == {
        "raw": TEXT,
        "request_id": "req_of_the_provider",
        "remaining": "4711",
        "chat": TEXT,
        "uploaded": True,
        "embedding": VECTOR,
    }
    assert found["async"] == {"deltas": list(WORDS), "final": TEXT, "models": ["gpt-5"]}
    async with ScriptedUpstream(respond=openai_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}/v1/"
        assert (await box.run(*command, OPENAI_BASE_URL=url)).json() == found
        assert as_seen(openai_provider.requests) == as_seen(direct.requests)


async def test_anthropic_works_in_full_and_its_provider_sees_no_gateway(
    box: Box, anthropic_provider: ScriptedUpstream
) -> None:
    command = (sys.executable, program("python_anthropic.py"))
    found = (await box.run(*command)).json()
    assert found["sync"] == {
        "raw": {"type": "text", "text": TEXT},
        "request_id": "req_of_the_provider",
        "remaining": "4711",
        "words": list(WORDS),
        "uploaded": True,
        "tokens": 3,
    }
    assert found["async"]["words"] == list(WORDS)
    assert found["async"]["final"]["text"] == TEXT
    async with ScriptedUpstream(respond=anthropic_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}"
        assert (await box.run(*command, ANTHROPIC_BASE_URL=url)).json() == found
        assert as_seen(anthropic_provider.requests) == as_seen(direct.requests)


async def test_openai_never_takes_a_broken_stream_for_a_whole_one(
    openai_client: openai.AsyncOpenAI, org: Org, openai_provider: ScriptedUpstream
) -> None:
    openai_provider.respond = lambda request: (*first_half(openai_answer(request)), Close())
    with pytest.raises((openai.APIError, httpx2.TransportError)):
        await read_openai(openai_client)
    assert [call["outcome"] for call in await org.calls()] == ["upstream_broke"]


async def test_anthropic_never_takes_a_broken_stream_for_a_whole_one(
    anthropic_client: anthropic.AsyncAnthropic, org: Org, anthropic_provider: ScriptedUpstream
) -> None:
    anthropic_provider.respond = lambda request: (*first_half(anthropic_answer(request)), Close())
    with pytest.raises((anthropic.APIError, httpx2.TransportError)):
        await read_anthropic(anthropic_client)
    assert [call["outcome"] for call in await org.calls()] == ["upstream_broke"]


async def test_a_stream_of_a_disabled_integration_is_cut_visibly(
    openai_client: openai.AsyncOpenAI, org: Org, openai_provider: ScriptedUpstream
) -> None:
    never = asyncio.Event()
    openai_provider.respond = lambda request: (*first_half(openai_answer(request)), WaitFor(never))
    stream = await openai_client.responses.create(model="gpt-5", input="hi", stream=True)
    assert (await anext(stream)).type == "response.created"
    await org.control_plane.switch("demo", "openai", enabled=False)
    async with asyncio.timeout(CUT_SECONDS):
        with pytest.raises((openai.APIError, httpx2.TransportError)):
            async for _ in stream:
                pass
    never.set()


async def test_a_time_out_of_the_client_ends_the_call_at_the_provider_too(
    openai_client: openai.AsyncOpenAI,
    anthropic_client: anthropic.AsyncAnthropic,
    org: Org,
    openai_provider: ScriptedUpstream,
    anthropic_provider: ScriptedUpstream,
) -> None:
    never = asyncio.Event()
    openai_provider.respond = anthropic_provider.respond = lambda _: (WaitFor(never), Send(b""))
    closed = openai_provider.closed + anthropic_provider.closed
    with pytest.raises(openai.APITimeoutError):
        await read_openai(openai_client.with_options(timeout=0.3))
    with pytest.raises(anthropic.APITimeoutError):
        await read_anthropic(anthropic_client.with_options(timeout=0.3))
    never.set()

    async def both_are_closed() -> bool:
        return openai_provider.closed + anthropic_provider.closed >= closed + 2

    await eventually(both_are_closed, "the provider's connections are closed")
    assert [call["outcome"] for call in await org.calls()] == ["client_gone", "client_gone"]
