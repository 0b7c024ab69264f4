"""Claude Code, not interactive, set up by the set-up script."""

from __future__ import annotations

import json

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_client
from tests.clients.org import Org
from tests.clients.provider_answers import TEXT
from tests.support.answers import json_answer
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")
MOST_REQUESTS_OF_A_REFUSAL = 6
"""Version 2.1.332 asks six times within a second after any 400, whatever its wording (docs/adr/0003)."""


async def seen_by_the_gateway(org: Org) -> list[tuple[str, int, str]]:
    return [(call["method"], call["status"], call["code"]) for call in await org.calls()]


async def test_it_prints_the_answer(box: Box, org: Org, anthropic_provider: ScriptedUpstream) -> None:
    await box.set_up()
    # Behind a proxy for TLS, and without calls of its own, it leaves its warm-up out.
    box.variables |= {"HTTPS_PROXY": "", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": ""}
    done = await box.run(node_client("claude"), "-p", "say ping")
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    assert await seen_by_the_gateway(org) == [("HEAD", 200, ""), ("POST", 200, "")]
    (request,) = anthropic_provider.requests
    assert request.target == b"/base/v1/messages?beta=true"
    assert request.values("anthropic-beta")
    assert request.values("x-api-key")
    # By ENABLE_TOOL_SEARCH the schemas of most tools are left out until one is looked for.
    assert b"ToolSearch" in request.body


async def test_the_two_lines_of_every_box_are_enough(box: Box, anthropic_provider: ScriptedUpstream) -> None:
    done = await box.run(node_client("claude"), "-p", "say ping")
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    assert len(anthropic_provider.requests) == 1


async def test_it_stops_with_our_sentence_after_a_few_requests(
    box: Box, org: Org, anthropic_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    await org.switch_off("anthropic")
    anthropic_provider.requests.clear()
    done = await box.run(node_client("claude"), "-p", "say ping")
    assert (done.code, done.out) == (1, f"API Error: 400 {org.switched_off('anthropic')}\n"), done.err
    calls = await seen_by_the_gateway(org)
    assert set(calls) == {("POST", 400, "integration_disabled")}
    assert len(calls) <= MOST_REQUESTS_OF_A_REFUSAL
    assert anthropic_provider.requests == []


async def test_it_names_a_rejected_key_after_a_few_requests(
    box: Box, org: Org, anthropic_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    error = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    anthropic_provider.respond = lambda _: json_answer(error, status="401 Unauthorized")
    done = await box.run(node_client("claude"), "-p", "say ping")
    assert done.code == 1
    assert "did not accept the organization's API key. An organization owner should replace it" in done.out
    calls = await seen_by_the_gateway(org)
    assert set(calls) == {("POST", 400, "upstream_key_rejected")}
    assert len(calls) == len(anthropic_provider.requests) <= MOST_REQUESTS_OF_A_REFUSAL


async def test_its_own_report_counts_what_the_provider_counted(
    box: Box, anthropic_provider: ScriptedUpstream
) -> None:
    await box.set_up()
    done = await box.run(node_client("claude"), "-p", "say ping", "--output-format", "json")
    report = json.loads(done.out)
    assert (report["result"], report["is_error"], report["num_turns"]) == (TEXT, False, 1)
    assert report["usage"]["output_tokens"] == 7
    assert len(anthropic_provider.requests) == 1
