"""The AI SDK 6 with its OpenAI and Anthropic providers, set up by the set-up script."""

from __future__ import annotations

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_program
from tests.clients.org import BASE_PATH, Org
from tests.clients.provider_answers import TEXT, VECTOR, WORDS, openai_answer
from tests.clients.wire import as_seen
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")


async def test_it_works_with_both_providers(
    box: Box, openai_provider: ScriptedUpstream, anthropic_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    found = (await box.run(*node_program("ai_sdk_calls.mjs"))).json()
    for name in ("responses", "chat", "anthropic"):
        assert found[name] == {"plain": TEXT, "chunks": list(WORDS)}, name
    assert found["embedding"] == VECTOR
    # It leaves Anthropic's `/v1` out; the gateway puts it in.
    assert {request.target for request in anthropic_provider.requests} == {b"/base/v1/messages"}
    async with ScriptedUpstream(respond=openai_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}/v1/"
        assert (await box.run(*node_program("ai_sdk_calls.mjs"), OPENAI_BASE_URL=url)).json() == found
        assert as_seen(openai_provider.requests) == as_seen(direct.requests)


async def test_it_shows_our_sentence_after_one_request(
    box: Box, org: Org, openai_provider: ScriptedUpstream, anthropic_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    await org.switch_off("openai")
    await org.switch_off("anthropic")
    openai_provider.requests.clear()
    anthropic_provider.requests.clear()
    found = (await box.run(*node_program("ai_sdk_refused.mjs"))).json()
    for provider, errors in found.items():
        message = org.switched_off(provider)
        assert errors == [{"message": message, "statusCode": 400, "isRetryable": False}] * 2
    assert [call["provider"] for call in await org.calls()] == ["openai"] * 2 + ["anthropic"] * 2
    assert openai_provider.requests == anthropic_provider.requests == []
