"""The key test over REST: permissions, the tried key and its target, and nothing stored."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from services.control_plane.key_test.stored_key import StoredKeyTester
from services.control_plane.rules.problems import TYPE_PREFIX
from shared.key_test import (
    STEPS,
    KeyTestRequest,
    KeyTestResponse,
    KeyTestStep,
    StepStatus,
    decode_key_test_request,
    encode_key_test_response,
)
from shared.secret import Secret
from tests.unit.control_plane.world import INTERNAL_TOKEN, KEY, MEMBER, OPENAI, OWNER, STRANGER, World

TEST = OPENAI + "/test"


async def test_an_owner_tries_a_typed_key_and_nothing_is_stored(world: World) -> None:
    revision = world.revision()
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={"api_key": KEY, "endpoint": "https://absent.acme.test/v1"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["provider"], body["endpoint"]) == ("openai", "https://absent.acme.test/v1")
    assert (body["verdict"], body["tested"], body["key_last4"]) == ("unknown", "typed", None)
    assert [step["step"] for step in body["steps"]] == ["dns", "tls", "authentication", "model_list"]
    assert body["steps"][0]["status"] == "failed"
    assert (world.memory.writes, world.revision()) == (0, revision)


async def test_without_an_endpoint_the_stored_one_is_tried_and_else_the_providers_own(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={"api_key": KEY})
        assert answer.json()["endpoint"] == "https://api.openai.com/v1"
        world.resolver.names["there.acme.test"] = ["93.184.216.34"]
        body = {"api_key": KEY, "endpoint": "https://there.acme.test/v1", "enabled": True}
        assert (await client.put(OPENAI, json=body, headers={"if-match": "*"})).status_code == 200
        del world.resolver.names["there.acme.test"]
        answer = await client.post(TEST, json={"api_key": KEY})
    assert answer.json()["endpoint"] == "https://there.acme.test/v1"


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


class DataPlane:
    """Stands for a data plane: answers as told, and keeps the requests."""

    def __init__(self, answer: KeyTestResponse) -> None:
        self.answer = answer
        self.asked: list[KeyTestRequest] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(decode_key_test_request(request.content))
        return httpx.Response(200, content=encode_key_test_response(self.answer))

    def probe(self) -> StoredKeyTester:
        return StoredKeyTester(
            "http://data-plane.test:9901", Secret(INTERNAL_TOKEN), transport=httpx.MockTransport(self)
        )


ENDPOINT = "https://gateway.acme.test/v1"
STATUSES: dict[str, tuple[StepStatus, ...]] = {
    "valid": ("ok", "ok", "ok", "ok"),
    "invalid": ("ok", "ok", "failed", "skipped"),
    "unknown": ("ok", "failed", "skipped", "skipped"),
}


def tried(verdict: str) -> KeyTestResponse:
    pairs = zip(STEPS, STATUSES[verdict], strict=True)
    return KeyTestResponse(
        "tried", endpoint=ENDPOINT, steps=tuple(KeyTestStep(*pair, "Fine.", 0.5) for pair in pairs)
    )


async def set_up(world: World, *, enabled: bool = True) -> None:
    async with world.person(OWNER) as client:
        body = {"api_key": KEY, "endpoint": ENDPOINT, "enabled": enabled}
        (await client.put(OPENAI, json=body, headers={"if-match": "*"})).raise_for_status()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("verdict", sorted(STATUSES))
async def test_the_stored_key_is_tried_by_a_data_plane(
    tmp_path: Path, verdict: str, *, enabled: bool
) -> None:
    data_plane = DataPlane(tried(verdict))
    world = World(tmp_path, stored_keys=data_plane.probe())
    await set_up(world, enabled=enabled)
    async with world.person(OWNER) as client:
        for body in ({}, {"endpoint": ENDPOINT}):
            answer = await client.post(TEST, json=body)
            assert answer.status_code == 200
            found = answer.json()
            assert (found["tested"], found["verdict"], found["endpoint"]) == ("stored", verdict, ENDPOINT)
            assert found["key_last4"] == KEY[-4:]
            assert [step["status"] for step in found["steps"]] == list(STATUSES[verdict])
            assert found["steps"][0]["seconds"] == 0.5
            assert KEY not in answer.text
    epoch = world.snapshot().epoch
    assert data_plane.asked == [KeyTestRequest("acme", "openai", epoch, world.revision())] * 2
    world.close()


async def test_a_stored_key_is_tried_at_its_own_endpoint_alone(tmp_path: Path) -> None:
    data_plane = DataPlane(tried("valid"))
    world = World(tmp_path, stored_keys=data_plane.probe())
    await set_up(world)
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={"endpoint": "https://elsewhere.acme.test/v1"})
    assert (answer.status_code, answer.json()["type"]) == (422, TYPE_PREFIX + "key-required")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["#/api_key", "#/endpoint"]
    assert data_plane.asked == []
    world.close()


@pytest.mark.parametrize("cleared", [False, True])
async def test_where_no_key_is_stored_one_must_be_typed(tmp_path: Path, *, cleared: bool) -> None:
    data_plane = DataPlane(tried("valid"))
    world = World(tmp_path, stored_keys=data_plane.probe())
    if cleared:
        await set_up(world)
    async with world.person(OWNER) as client:
        if cleared:
            await client.delete(OPENAI, headers={"if-match": "*"})
        answer = await client.post(TEST, json={})
    assert (answer.status_code, answer.json()["type"]) == (422, TYPE_PREFIX + "key-required")
    assert answer.json()["errors"][0]["pointer"] == "#/api_key"
    assert data_plane.asked == []
    world.close()


async def test_a_key_that_is_cleared_meanwhile_is_no_stored_key(tmp_path: Path) -> None:
    world = World(tmp_path, stored_keys=DataPlane(KeyTestResponse("not_set_up")).probe())
    await set_up(world)
    async with world.person(OWNER) as client:
        answer = await client.post(TEST, json={})
    assert (answer.status_code, answer.json()["type"]) == (422, TYPE_PREFIX + "key-required")
    world.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "not_configured"),
        (KeyTestResponse("busy"), "busy"),
        (KeyTestResponse("key_unavailable"), "key_unavailable"),
    ],
)
async def test_when_no_data_plane_can_try_it_the_answer_says_why(
    tmp_path: Path, answer: KeyTestResponse | None, reason: str
) -> None:
    world = World(tmp_path, stored_keys=None if answer is None else DataPlane(answer).probe())
    await set_up(world)
    async with world.person(OWNER) as client:
        found = await client.post(TEST, json={})
    assert found.status_code == 503
    assert found.json()["type"] == TYPE_PREFIX + "stored-key-test-unavailable"
    assert found.json()["reason"] == reason
    assert "operator" in found.json()["detail"] or reason == "busy"
    world.close()


async def test_members_and_strangers_try_no_stored_key(tmp_path: Path) -> None:
    data_plane = DataPlane(tried("valid"))
    world = World(tmp_path, stored_keys=data_plane.probe())
    await set_up(world)
    for email, status in ((MEMBER, 403), (STRANGER, 404)):
        async with world.person(email) as client:
            assert (await client.post(TEST, json={})).status_code == status
    assert data_plane.asked == []
    world.close()
