"""WebSockets of real clients: realtime, responses, keys among subprotocols, refusals, the known limit."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_client, node_program, program
from tests.clients.org import KEYS, Org
from tests.clients.provider_answers import TEXT, WORDS
from tests.clients.websocket_provider import WebSocketProvider

pytestmark = pytest.mark.xdist_group("real clients")
LEFT_IN_A_BOX = "sk-proj-left-in-a-box-0123456789"


@pytest.fixture
async def provider(org: Org) -> AsyncIterator[WebSocketProvider]:
    async with WebSocketProvider.running() as provider:
        await org.aim_at("openai", provider.origin, lambda: provider.targets)
        yield provider


async def test_pythons_realtime_works_by_two_variables(
    box: Box, org: Org, provider: WebSocketProvider
) -> None:
    found = (await box.run(sys.executable, program("realtime_calls.py"))).json()
    assert found["types"] == ["session.created", "session.updated", "response.output_audio.delta"]
    assert found["audio_came_back"]
    assert provider.messages[0]["session"]["instructions"] == "Grüße 🦜"
    assert provider.credentials() == [f"Bearer {KEYS['openai']}"]
    assert provider.targets[-1] == "/base/v1/realtime?model=gpt-realtime"
    assert provider.close_codes == [1000]
    assert [(call["status"], call["outcome"]) for call in await org.calls()] == [(101, "spliced")]


async def test_nodes_responses_work_over_a_websocket(box: Box, provider: WebSocketProvider) -> None:
    found = (await box.run(*node_program("responses_websocket.mjs"))).json()
    assert found["deltas"] == list(WORDS)
    assert provider.credentials() == [f"Bearer {KEYS['openai']}"]


async def test_codex_works_over_a_websocket(box: Box, org: Org, provider: WebSocketProvider) -> None:
    await box.set_up()
    done = await box.run(node_client("codex"), "exec", "--skip-git-repo-check", "say ping")
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    assert {call["status"] for call in await org.calls()} == {101}
    assert set(provider.extensions) == {"permessage-deflate"}
    assert set(provider.credentials()) == {f"Bearer {KEYS['openai']}"}


async def test_a_credential_among_the_subprotocols_never_reaches_the_provider(
    box: Box, org: Org, provider: WebSocketProvider
) -> None:
    command = node_program("realtime_subprotocols.mjs")
    found = (await box.run(*command, LEFT_IN_A_BOX=LEFT_IN_A_BOX)).json()
    assert found == {"type": "session.created", "protocol": "realtime"}
    (handshake,) = provider.handshakes
    assert handshake.headers.get_all("sec-websocket-protocol") == ["realtime"]
    assert provider.credentials() == [f"Bearer {KEYS['openai']}"]
    sent = f"{handshake.path}\n{handshake.headers}"
    assert not [word for word in ("left-in-a-box", "of-the-box") if word in sent]
    (call,) = await org.calls()
    assert call["leaked_key"] is True
    assert LEFT_IN_A_BOX not in org.gateway.log


async def test_a_refused_websocket_is_426_after_one_request(
    box: Box, org: Org, provider: WebSocketProvider
) -> None:
    provider.refuses = True
    found = (await box.run(sys.executable, program("realtime_refused.py"))).json()
    assert found["status"] == 426
    endpoint = provider.origin.removeprefix("http://")
    refusal = f"The host {endpoint}, a custom endpoint for OpenAI, refused the WebSocket (status 403)."
    assert found["message"].startswith(refusal)
    assert [call["code"] for call in await org.calls()] == ["upstream_upgrade_refused"]
    assert len(provider.handshakes) == 1


async def test_pythons_realtime_gets_our_sentence_after_one_request(
    box: Box, org: Org, provider: WebSocketProvider
) -> None:
    await org.switch_off("openai")
    found = (await box.run(sys.executable, program("realtime_refused.py"))).json()
    assert found == {"status": 400, "message": org.switched_off("openai")}
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"]
    assert provider.handshakes == []


async def test_nodes_realtime_class_cannot_use_plain_http(
    box: Box, org: Org, provider: WebSocketProvider
) -> None:
    """A limit of that class, told in docs/clients.md; when this fails, the page may say something better."""
    found = (await box.run(*node_program("realtime_by_tls.mjs"))).json()
    assert found["scheme"] == "wss:"
    assert provider.handshakes == []
    # What it says to the gateway is no HTTP. It is refused, and nobody else is disturbed.
    assert (await org.boxes.get("/openai/v1/models")).status_code == 200
