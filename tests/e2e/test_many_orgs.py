"""Many orgs behind one URL and one placeholder: each call carries its own org's key, or nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anthropic
import httpx
import openai
import pytest

from aigw.node_key import NodeKey
from shared.clock import unix_now
from tests.support.answers import chat_completion, json_answer
from tests.support.box_clients import OpenAIInBox
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream

pytestmark = pytest.mark.xdist_group("header gateway")
HEADER = "X-Run9-Box-Token"
KEYS = {"a": "sk-key-of-org-a-0000000001", "b": "sk-key-of-org-b-0000000002"}


def echo_key(request: ReceivedRequest) -> Answer:
    """Answer with which org's key arrived, never with the key."""
    owners = {key.encode(): org for org, key in KEYS.items()}
    return json_answer(chat_completion(owners[request.credentials[0]]))


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    keys = frozenset(key.encode() for key in KEYS.values())
    async with ScriptedUpstream(keys=keys, base_path=b"/base/v1/", respond=echo_key) as server:
        yield server


async def ask(client: openai.AsyncOpenAI) -> str:
    answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    return str(answer.choices[0].message.content)


async def two_orgs(
    control_plane: ControlPlane, gateway: Gateway, upstream: ScriptedUpstream
) -> dict[str, str]:
    """Make an org for each key; give their names once both are live."""
    orgs = {}
    for name, key in KEYS.items():
        orgs[name] = await control_plane.new_org()
        await control_plane.set_up(orgs[name], "openai", key, f"{upstream.origin}/base/v1")
    for org in orgs.values():
        await wait_until_on(gateway, org)
    return orgs


async def wait_until_on(gateway: Gateway, org: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def is_on() -> bool:
            head = {HEADER: gateway.box_token(org), "accept": "application/json"}
            answer = await client.get(f"{gateway.origin}/run9/ai/", headers=head)
            return "on" in [item["state"] for item in answer.json().get("providers", [])]

        await eventually(is_on, "the org's integration is on")


async def test_every_call_carries_its_own_orgs_key(
    header_gateway: Gateway,
    control_plane: ControlPlane,
    upstream: ScriptedUpstream,
    openai_in_box: OpenAIInBox,
) -> None:
    orgs = await two_orgs(control_plane, header_gateway, upstream)
    clients = {name: openai_in_box(header_gateway.box_token(org)) for name, org in orgs.items()}
    names = ["a", "b"] * 20
    answers = await asyncio.gather(*(ask(clients[name]) for name in names))
    assert answers == names
    assert len(upstream.requests) == len(names)
    for request in upstream.requests:
        assert request.target == b"/base/v1/chat/completions"
        assert request.values("host") == [upstream.origin.removeprefix("http://").encode()]
        assert request.values(HEADER) == []


async def test_one_connection_may_speak_for_two_orgs_in_turn(
    header_gateway: Gateway, control_plane: ControlPlane, upstream: ScriptedUpstream
) -> None:
    orgs = await two_orgs(control_plane, header_gateway, upstream)
    url = f"{header_gateway.ready['base_urls']['openai']}chat/completions"
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
        for name in ("a", "b", "a"):
            head = {HEADER: header_gateway.box_token(orgs[name])}
            answer = await client.post(url, headers=head, json={"model": "m"})
            assert answer.json()["choices"][0]["message"]["content"] == name


@pytest.mark.parametrize("case", ["missing", "garbage", "expired", "another node's", "no such org"])
async def test_without_a_valid_token_nothing_is_sent_and_the_reason_is_shown(
    header_gateway: Gateway,
    control_plane: ControlPlane,
    upstream: ScriptedUpstream,
    openai_in_box: OpenAIInBox,
    case: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    orgs = await two_orgs(control_plane, header_gateway, upstream)
    token: str | None
    match case:
        case "missing":
            token = None
        case "garbage":
            token = "not.a.token"
        case "expired":
            token = header_gateway.box_token(orgs["a"], age_seconds=400)
        case "another node's":
            key = NodeKey.create(tmp_path_factory.mktemp("node") / "key.pem")
            kid = header_gateway.ready["node_kid"]
            now = unix_now()
            token = key.mint(kid, box="b", org=orgs["a"], lifecycle="1", now=now, life_seconds=60)
        case _:
            token = header_gateway.box_token("no-such-org")
    expected = "integration_missing" if case == "no such org" else "box_identity_required"
    with pytest.raises(openai.BadRequestError) as raised:
        await ask(openai_in_box(token))
    assert raised.value.code == expected
    assert raised.value.response.headers["x-run9-error"] == expected
    assert upstream.accepted == 0


async def test_anthropics_clients_get_anthropics_error_shape(
    header_gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    base_url = header_gateway.ready["base_urls"]["anthropic"]
    async with anthropic.AsyncAnthropic(auth_token="run9-placeholder", base_url=base_url) as client:
        with pytest.raises(anthropic.BadRequestError) as raised:
            await client.models.list()
    body = raised.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert "could not tell which box" in body["error"]["message"]
    assert upstream.accepted == 0
