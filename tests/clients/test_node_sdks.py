"""Node's `openai` and `@anthropic-ai/sdk`, set up by two variables each."""

from __future__ import annotations

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_program
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
from tests.support.scripted_upstream import Close, ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")


async def test_openai_works_and_its_provider_sees_no_gateway(
    box: Box, openai_provider: ScriptedUpstream
) -> None:
    found = (await box.run(*node_program("openai_calls.mjs"))).json()
    assert [part for part in found["chunks"] if part] == found["deltas"] == list(WORDS)
    assert found["plain"] == found["response"] == TEXT
    assert found["request_id"] == "req_of_the_provider"
    assert found["uploaded"]
    assert found["embedding"] == VECTOR
    async with ScriptedUpstream(respond=openai_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}/v1/"
        assert (await box.run(*node_program("openai_calls.mjs"), OPENAI_BASE_URL=url)).json() == found
        assert as_seen(openai_provider.requests) == as_seen(direct.requests)


async def test_anthropic_works_and_its_provider_sees_no_gateway(
    box: Box, anthropic_provider: ScriptedUpstream
) -> None:
    found = (await box.run(*node_program("anthropic_calls.mjs"))).json()
    assert found["chunks"] == list(WORDS)
    assert found["plain"] == found["streamed"] == TEXT
    assert found["request_id"] == "req_of_the_provider"
    assert found["uploaded"]
    async with ScriptedUpstream(respond=anthropic_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}"
        assert (await box.run(*node_program("anthropic_calls.mjs"), ANTHROPIC_BASE_URL=url)).json() == found
        assert as_seen(anthropic_provider.requests) == as_seen(direct.requests)


async def test_openai_shows_our_sentence_after_one_request(
    box: Box, org: Org, openai_provider: ScriptedUpstream
) -> None:
    await org.switch_off("openai")
    openai_provider.requests.clear()
    for error in (await box.run(*node_program("openai_refused.mjs"))).json():
        assert error == {
            "error": "BadRequestError",
            "message": org.switched_off("openai"),
            "status": 400,
            "code": "integration_disabled",
            "type": "invalid_request_error",
            "source": "gateway",
        }
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"] * 2
    assert openai_provider.requests == []


async def test_anthropic_shows_our_sentence_after_one_request(
    box: Box, org: Org, anthropic_provider: ScriptedUpstream
) -> None:
    await org.switch_off("anthropic")
    anthropic_provider.requests.clear()
    for error in (await box.run(*node_program("anthropic_refused.mjs"))).json():
        assert error == {
            "error": "BadRequestError",
            "message": org.switched_off("anthropic"),
            "status": 400,
            "type": "invalid_request_error",
            "source": "gateway",
        }
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"] * 2
    assert anthropic_provider.requests == []


async def test_neither_takes_a_broken_stream_for_a_whole_one(
    box: Box, org: Org, openai_provider: ScriptedUpstream, anthropic_provider: ScriptedUpstream
) -> None:
    openai_provider.respond = lambda request: (*first_half(openai_answer(request)), Close())
    anthropic_provider.respond = lambda request: (*first_half(anthropic_answer(request)), Close())
    found = (await box.run(*node_program("broken_streams.mjs"))).json()
    assert [told["ended"] for told in found.values()] == ["by an error"] * 2
    assert [call["outcome"] for call in await org.calls()] == ["upstream_broke"] * 2
