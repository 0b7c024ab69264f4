"""The trial of a typed key over REST: who may, what is tried, that nothing is stored."""

from __future__ import annotations

from services.control_plane.rules.problems import TYPE_PREFIX
from tests.unit.control_plane.world import KEY, MEMBER, OPENAI, OWNER, STRANGER, World

TEST = OPENAI + "/test"


async def test_an_owner_tries_a_typed_key_and_nothing_is_stored(world: World) -> None:
    revision = world.revision()
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={"api_key": KEY, "endpoint": "https://absent.acme.test/v1"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["provider"], body["endpoint"]) == ("openai", "https://absent.acme.test/v1")
    assert body["verdict"] == "unknown"
    assert [step["step"] for step in body["steps"]] == ["dns", "tls", "authentication", "model_list"]
    assert body["steps"][0]["status"] == "failed"
    assert (world.memory.writes, world.revision()) == (0, revision)


async def test_without_an_endpoint_the_stored_one_is_tried_and_else_the_providers_own(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={"api_key": KEY})
        assert answer.json()["endpoint"] == "https://api.openai.com/v1"
        body = {"api_key": KEY, "endpoint": "https://absent.acme.test/v1", "enabled": True}
        await client.put(OPENAI, json=body, headers={"if-match": "*"})
        answer = await client.post(TEST, json={"api_key": KEY})
    assert answer.json()["endpoint"] == "https://absent.acme.test/v1"


async def test_the_stored_key_cannot_be_tried_here_and_the_answer_says_so(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={})
    assert answer.status_code == 422
    assert answer.json()["type"] == TYPE_PREFIX + "stored-key-test-unavailable"
    assert answer.json()["errors"][0]["pointer"] == "#/api_key"


async def test_members_and_strangers_try_nothing(world: World) -> None:
    for email, status in ((MEMBER, 403), (STRANGER, 404)):
        async with world.person(email) as client:
            assert (await client.post(TEST, json={"api_key": KEY})).status_code == status
    assert world.resolver.asked == []


async def test_the_same_rules_hold_as_for_a_write(world: World) -> None:
    async with world.person(OWNER) as client:
        for body, name in (
            ({"api_key": "****"}, "key-refused"),
            ({"api_key": KEY, "endpoint": "https://127.0.0.1"}, "endpoint-refused"),
            ({"api_key": KEY, "extra": 1}, "invalid"),
        ):
            answer = await client.post(TEST, json=body)
            assert (answer.status_code, answer.json()["type"]) == (422, TYPE_PREFIX + name)
