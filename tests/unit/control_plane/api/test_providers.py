"""The providers of a deployment: rows in the operator's order, with the addresses under which boxes call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.control_plane.api.providers import offered_provider
from shared.providers import PROVIDERS, offered
from tests.unit.control_plane.world import ANTHROPIC, KEY, MEMBER, OWNER, World


async def test_the_offered_providers_come_in_the_deployments_order(world: World) -> None:
    world.context = replace(world.context, providers=offered(("anthropic", "openai")))
    async with world.person(MEMBER) as client:
        items = (await client.get("/api/v1/providers")).json()["items"]
        integrations = (await client.get("/api/v1/orgs/acme/ai-integrations")).json()["items"]
    assert [item["provider"] for item in items] == ["anthropic", "openai"]
    assert [item["provider"] for item in integrations] == ["anthropic", "openai"]
    assert items[1]["local_base_url"] == "http://10.0.2.2:1000/run9/ai/openai/v1/"
    assert items[1]["keys"] == [{"kind": "openai", "prefix": "sk-"}]


async def test_a_provider_that_is_not_offered_is_in_no_list(world: World) -> None:
    world.context = replace(world.context, providers=offered(("openai",)))
    async with world.person(MEMBER) as client:
        items = (await client.get("/api/v1/providers")).json()["items"]
        integrations = (await client.get("/api/v1/orgs/acme/ai-integrations")).json()["items"]
    assert [item["provider"] for item in items + integrations] == ["openai", "openai"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PUT", ""), ("PATCH", ""), ("POST", "/test"), ("GET", "/rollout")]
)
async def test_a_provider_that_is_not_offered_is_404_and_told_which_are(
    world: World, method: str, path: str
) -> None:
    world.context = replace(world.context, providers=offered(("openai",)))
    body = None if method == "GET" else {"api_key": KEY, "enabled": True}
    async with world.person(OWNER) as client:
        answer = await client.request(method, ANTHROPIC + path, json=body, headers={"if-match": "*"})
    assert answer.status_code == 404
    assert answer.json()["offered"] == ["openai"]
    assert "It offers openai." in answer.json()["detail"]
    assert world.memory.writes == 0


async def test_the_key_of_a_provider_that_is_no_longer_offered_can_be_cleared(world: World) -> None:
    async with world.person(OWNER) as client:
        await client.put(ANTHROPIC, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        world.context = replace(world.context, providers=offered(("openai",)))
    async with world.person(OWNER) as client:
        assert (await client.get("/api/v1/orgs/acme")).json()["enabled"] == []
        cleared = await client.delete(ANTHROPIC, headers={"if-match": "*"})
    assert cleared.status_code == 200
    assert cleared.json()["state"] == "not_set_up"


async def test_a_name_without_a_row_cannot_be_cleared(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await client.delete(ANTHROPIC.replace("anthropic", "mistral"), headers={"if-match": "*"})
    assert answer.status_code == 404
    assert answer.json()["offered"] == ["openai", "anthropic"]


async def test_a_caller_without_a_token_is_not_told_what_is_offered(world: World) -> None:
    async with world.client() as client:
        assert (await client.get(ANTHROPIC.replace("anthropic", "mistral"))).status_code == 401


async def test_what_is_known_of_keys_comes_with_the_providers(world: World) -> None:
    async with world.person(MEMBER) as client:
        answer = (await client.get("/api/v1/providers")).json()
    assert [item["company"] for item in answer["items"]] == ["OpenAI", "Anthropic"]
    starts = {one["start"]: one for one in answer["key_starts"]}
    assert starts["sk-ant-"] == {
        "start": "sk-ant-",
        "vendor": "Anthropic",
        "provider": "anthropic",
        "hosts": ["anthropic.com"],
        "administers": False,
        "demo": False,
    }
    assert starts["sk-admin-"]["administers"]
    assert starts["sk-demo-"]["demo"]
    assert starts["gsk_"]["provider"] is None


async def test_the_list_is_for_people_who_are_signed_in(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/api/v1/providers")).status_code == 401


def test_addresses_are_those_under_which_boxes_reach_this_deployment() -> None:
    shown = offered_provider(PROVIDERS["anthropic"], "http://127.0.0.1:20000")
    assert shown.local_base_url == "http://127.0.0.1:20000/run9/ai/anthropic"
    codes = " ".join(snippet.code for snippet in shown.snippets)
    assert "http://127.0.0.1:20000/run9/ai/setup.sh" in codes
    assert "10.0.2.2" not in codes
    assert "$BASE" not in codes
    assert {"name": "ENABLE_TOOL_SEARCH", "value": "true"} in [one.model_dump() for one in shown.environment]
