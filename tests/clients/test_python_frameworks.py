"""LangChain, litellm, openai-agents and llm, installed apart, set up by the set-up script."""

from __future__ import annotations

import pytest

from tests.clients.box import Box
from tests.clients.installed import framework_command, program
from tests.clients.org import Org
from tests.clients.provider_answers import TEXT
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")


@pytest.mark.parametrize("name", ["langchain", "litellm", "agents"])
@pytest.mark.usefixtures("anthropic_provider", "openai_provider")
async def test_a_framework_works(box: Box, org: Org, name: str) -> None:
    await box.set_up()
    found = (await box.run(framework_command("python"), program(f"{name}_calls.py"))).json()
    assert found
    assert all(texts == [TEXT, TEXT] for texts in found.values()), found
    assert [call["status"] for call in await org.calls()] == [200] * 2 * len(found)


@pytest.mark.parametrize("name", ["langchain", "litellm", "agents"])
async def test_a_framework_shows_our_sentence_after_one_request(
    box: Box, org: Org, openai_provider: ScriptedUpstream, name: str
) -> None:
    await box.set_up()
    await org.switch_off("openai")
    openai_provider.requests.clear()
    done = await box.run(framework_command("python"), program(f"{name}_refused.py"))
    assert done.code == 1
    assert org.switched_off("openai") in done.err
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"]
    assert openai_provider.requests == []


async def test_llm_works_and_shows_our_sentence_after_one_request(
    box: Box, org: Org, openai_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    done = await box.run(framework_command("llm"), "-m", "gpt-4o-mini", "say ping")
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    assert len(openai_provider.requests) == 1
    await org.switch_off("openai")
    refused = await box.run(framework_command("llm"), "-m", "gpt-4o-mini", "say ping")
    assert refused.code == 1
    assert org.switched_off("openai") in refused.err
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"]
