"""Codex, not interactive, set up by the set-up script."""

from __future__ import annotations

import json

import pytest

from tests.clients.box import Box, Finished
from tests.clients.installed import node_client
from tests.clients.org import Org
from tests.clients.provider_answers import TEXT
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")


async def codex(box: Box) -> Finished:
    await box.set_up()
    # Nothing calls home from a test; how it calls its provider is left as the script set it.
    with (box.home / ".codex" / "config.toml").open("a") as file:
        file.write("check_for_update_on_startup = false\n[analytics]\nenabled = false\n")
    return await box.run(node_client("codex"), "exec", "--skip-git-repo-check", "say ping")


async def test_it_falls_back_from_the_websocket_at_once_and_prints_the_answer(
    box: Box, org: Org, openai_provider: ScriptedUpstream
) -> None:
    done = await codex(box)
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    seen = [(call["method"], call["route"], call["status"], call["code"]) for call in await org.calls()]
    assert seen == [
        ("GET", "responses", 426, "upstream_upgrade_refused"),
        ("POST", "responses", 200, ""),
    ]
    refused, answered = openai_provider.requests
    assert refused.values("upgrade") == [b"websocket"]
    assert json.loads(answered.body)["stream"] is True


async def test_it_stops_with_our_sentence_at_once(
    box: Box, org: Org, openai_provider: ScriptedUpstream
) -> None:
    await org.switch_off("openai")
    openai_provider.requests.clear()
    done = await codex(box)
    assert (done.code, done.out) == (1, "")
    assert org.switched_off("openai") in done.err
    seen = [(call["method"], call["status"], call["code"]) for call in await org.calls()]
    # It opens the WebSocket once to warm up and once for the turn; neither is tried again.
    assert seen == [("GET", 400, "integration_disabled")] * 2
    assert openai_provider.requests == []
