"""Google's clients of the Gemini API: the SDKs for Python and Node, and the Gemini CLI."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import AsyncIterator

import pytest

from tests.clients.box import Box, Finished
from tests.clients.gemini_answers import MODEL, gemini_answer
from tests.clients.installed import node_client, node_program, program
from tests.clients.org import BASE_PATH, KEYS, Org
from tests.clients.provider_answers import TEXT, VECTOR, WORDS
from tests.clients.wire import as_seen
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")
PYTHON = (sys.executable, program("python_gemini.py"))


@pytest.fixture
async def gemini_provider(org: Org) -> AsyncIterator[ScriptedUpstream]:
    """Google as set up by the org. The provider takes the org's key only, and a single key."""
    keys, base_path = frozenset({KEYS["gemini"].encode()}), f"{BASE_PATH}/".encode()
    async with ScriptedUpstream(keys=keys, base_path=base_path, respond=gemini_answer) as upstream:
        await org.aim("gemini", upstream)
        yield upstream


async def test_the_python_sdk_works_and_its_provider_sees_no_gateway(
    box: Box, gemini_provider: ScriptedUpstream
) -> None:
    found = (await box.run(*PYTHON)).json()
    assert found["sync"] == {
        "plain": TEXT,
        "chunks": list(WORDS),
        "uploaded": 3_000_000,
        "embedding": VECTOR,
        "tokens": 3,
        "models": [f"models/{MODEL}"],
    }
    assert found["async"] == {"chunks": list(WORDS)}
    async with ScriptedUpstream(respond=gemini_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}"
        assert (await box.run(*PYTHON, GOOGLE_GEMINI_BASE_URL=url)).json() == found
        assert as_seen(gemini_provider.requests) == as_seen(direct.requests)


async def test_the_node_sdk_works_and_its_provider_sees_no_gateway(
    box: Box, gemini_provider: ScriptedUpstream
) -> None:
    calls = node_program("gemini_calls.mjs")
    found = (await box.run(*calls)).json()
    assert (found["plain"], found["chunks"], found["embedding"]) == (TEXT, list(WORDS), VECTOR)
    assert (found["uploaded"], found["tokens"], found["models"]) == ("3000000", 3, [f"models/{MODEL}"])
    async with ScriptedUpstream(respond=gemini_answer) as direct:
        url = f"{direct.origin}{BASE_PATH}"
        assert (await box.run(*calls, GOOGLE_GEMINI_BASE_URL=url)).json() == found
        assert as_seen(gemini_provider.requests) == as_seen(direct.requests)


async def test_their_tokens_are_in_the_access_log(
    box: Box, org: Org, gemini_provider: ScriptedUpstream
) -> None:
    assert (await box.run(*PYTHON)).code == 0
    read = [call for call in await org.calls() if call["input_tokens"] is not None]
    said = [(call["input_tokens"], call["output_tokens"]) for call in read]
    assert said == [(3, 7)] * 3
    assert len(gemini_provider.requests) > len(said)


async def test_both_show_our_sentence_after_one_request(
    box: Box, org: Org, gemini_provider: ScriptedUpstream
) -> None:
    await org.switch_off("gemini")
    gemini_provider.requests.clear()
    sentence = org.switched_off("gemini")
    for error in (await box.run(sys.executable, program("python_gemini_refused.py"))).json():
        assert error == {
            "error": "ClientError",
            "status": "INVALID_ARGUMENT",
            "code": 400,
            "message": sentence,
        }
    for error in (await box.run(*node_program("gemini_refused.mjs"))).json():
        assert (error["error"], error["status"]) == ("ApiError", 400)
        assert json.loads(error["message"])["error"]["message"] == sentence
    assert [call["code"] for call in await org.calls()] == ["integration_disabled"] * 4
    assert gemini_provider.requests == []


async def gemini_cli(box: Box) -> Finished:
    await box.set_up()
    settings = box.home / ".gemini" / "settings.json"
    chosen = json.loads(settings.read_text())
    assert chosen == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    # Nothing calls home from a test; how it calls its provider is left as the script set it.
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
    settings.write_text(json.dumps(chosen | quiet))
    return await box.run(node_client("gemini"), "--skip-trust", "-m", MODEL, "-p", "say ping")


async def test_the_cli_prints_the_answer(box: Box, org: Org, gemini_provider: ScriptedUpstream) -> None:
    done = await gemini_cli(box)
    assert done.code == 0, done.err
    assert done.out.strip() == TEXT
    assert {(call["status"], call["code"]) for call in await org.calls()} == {(200, "")}
    assert all(one.credentials == [KEYS["gemini"].encode()] for one in gemini_provider.requests)


async def test_the_cli_stops_with_our_sentence(box: Box, org: Org, gemini_provider: ScriptedUpstream) -> None:
    await org.switch_off("gemini")
    gemini_provider.requests.clear()
    done = await gemini_cli(box)
    assert done.code != 0
    assert org.switched_off("gemini") in done.err + done.out
    assert {call["code"] for call in await org.calls()} == {"integration_disabled"}
    assert gemini_provider.requests == []


async def test_the_set_up_script_keeps_what_the_cli_has_and_takes_out_what_is_its_own(box: Box) -> None:
    undo = shlex.join(["curl", "-fsS", f"{box.gateway.origin}/run9/ai/setup.sh"]) + " | sh -s -- --undo"
    settings = box.home / ".gemini" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"ui": {"theme": "Atom One"}}')
    await box.set_up()
    changed = json.loads(settings.read_text())
    assert changed == {
        "ui": {"theme": "Atom One"},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    }
    assert (await box.run("sh", "-c", undo)).code == 0
    assert json.loads(settings.read_text()) == {"ui": {"theme": "Atom One"}, "security": {"auth": {}}}
    chosen = '{"security": {"auth": {"selectedType": "oauth-personal"}}}'
    settings.write_text(chosen)
    await box.set_up()
    assert (await box.run("sh", "-c", undo)).code == 0
    assert settings.read_text() == chosen
    settings.unlink()
    await box.set_up()
    assert settings.exists()
    assert (await box.run("sh", "-c", undo)).code == 0
    assert not settings.exists()
