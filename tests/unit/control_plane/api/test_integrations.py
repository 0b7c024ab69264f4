"""Integrations over REST: permissions, preconditions, and the rows written and not written by each change."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.control_plane.rules.problems import TYPE_PREFIX
from shared.config_feed import IntegrationRow
from tests.unit.control_plane.world import ANTHROPIC, KEY, MEMBER, OPENAI, OWNER, STRANGER, World

CUSTOM = "https://gateway.acme.test/v1"


async def put(
    client: httpx.AsyncClient, body: dict[str, Any], if_match: str | None = "*", path: str = OPENAI
) -> httpx.Response:
    headers = {} if if_match is None else {"if-match": if_match}
    return await client.put(path, json=body, headers=headers)


async def patch(client: httpx.AsyncClient, body: dict[str, Any], if_match: str = "*") -> httpx.Response:
    return await client.patch(OPENAI, json=body, headers={"if-match": if_match})


def problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["type"], body["status"]) == (TYPE_PREFIX + name, status)
    assert body["title"]
    assert body["detail"]
    return body


def pointers(body: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in body["errors"]}


async def test_what_was_never_set_up_answers_in_the_full_shape(world: World) -> None:
    async with world.person(MEMBER) as client:
        answer = await client.get(OPENAI)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"0"'
    assert answer.json() == {
        "provider": "openai",
        "state": "not_set_up",
        "endpoint": "https://api.openai.com/v1",
        "endpoint_kind": "default",
        "key": {"set": False, "last4": None, "fingerprint": None, "updated_at": None, "updated_by": None},
        "local_base_url": "http://10.0.2.2:1000/run9/ai/openai/v1/",
        "revision": 0,
        "updated_at": None,
        "updated_by": None,
    }


async def test_the_etag_that_get_gave_makes_the_first_put_work(world: World) -> None:
    async with world.person(OWNER) as client:
        etag = (await client.get(OPENAI)).headers["etag"]
        answer = await put(client, {"api_key": f" {KEY}\n", "enabled": True}, etag)
        assert answer.status_code == 200
        body = answer.json()
        assert body["state"] == "enabled"
        assert body["endpoint"] == "https://api.openai.com/v1"
        assert body["key"]["set"] is True
        assert body["key"]["last4"] == "WXYZ"
        assert len(body["key"]["fingerprint"]) == 12
        assert (body["key"]["updated_by"], body["updated_by"]) == (OWNER, OWNER)
        assert body["updated_at"].endswith("Z")
        assert body["warnings"] == []
        assert answer.headers["etag"] == f'"{body["revision"]}"'
        again = await client.get(OPENAI)
    assert again.headers["etag"] == answer.headers["etag"]
    del body["warnings"]
    assert again.json() == body
    stored = world.memory.documents["acme", "openai"][1]
    assert (stored.api_key.reveal(), stored.endpoint) == (KEY, "https://api.openai.com/v1")


async def test_the_list_shows_every_provider(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": "sk-ant-api03-000000", "enabled": False}, path=ANTHROPIC)
        answer = await client.get("/api/v1/orgs/acme/ai-integrations")
    assert [(item["provider"], item["state"]) for item in answer.json()["items"]] == [
        ("openai", "not_set_up"),
        ("anthropic", "disabled"),
    ]


async def test_a_change_is_in_the_snapshot_and_in_one_event(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "enabled": True})
    row = IntegrationRow("acme", "openai", enabled=True, secret_version=1)
    assert world.snapshot().integrations == (row,)
    assert world.events()[-1].integration == row


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_write_without_if_match_is_428(world: World, method: str) -> None:
    async with world.person(OWNER) as client:
        body = None if method == "DELETE" else {"api_key": KEY, "enabled": True}
        answer = await client.request(method, OPENAI, json=body)
    problem(answer, 428, "precondition-required")
    assert world.memory.writes == 0


async def test_a_stale_etag_is_412_with_the_current_state(world: World) -> None:
    async with world.person(OWNER) as client:
        first = await put(client, {"api_key": KEY, "enabled": True}, '"0"')
        stale = await put(client, {"enabled": False}, '"0"')
        body = problem(stale, 412, "state-changed")
        assert stale.headers["etag"] == first.headers["etag"]
        assert body["current"]["state"] == "enabled"
        assert body["current"]["revision"] == first.json()["revision"]
        for answer in (
            await patch(client, {"enabled": False}, 'W/"4"'),
            await client.delete(OPENAI, headers={"if-match": '"0"'}),
        ):
            problem(answer, 412, "state-changed")


async def test_a_malformed_if_match_is_400(world: World) -> None:
    async with world.person(OWNER) as client:
        problem(await put(client, {"enabled": True}, "0"), 400, "bad-request")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_member_cannot_edit_and_is_told_who_can(world: World, method: str) -> None:
    async with world.person(MEMBER) as client:
        body = None if method == "DELETE" else {"api_key": KEY, "enabled": True}
        answer = await client.request(method, OPENAI, json=body, headers={"if-match": "*"})
    assert problem(answer, 403, "owner-required")["owners"] == [OWNER]
    assert (world.memory.writes, world.revision()) == (0, 3)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_to_a_stranger_the_org_is_as_one_that_is_not_there(world: World, method: str) -> None:
    body = {"api_key": KEY, "enabled": True} if method in {"PUT", "PATCH"} else None
    headers = {"if-match": "*"}
    async with world.person(STRANGER) as client:
        there = await client.request(method, OPENAI, json=body, headers=headers)
        absent = await client.request(
            method, OPENAI.replace("acme", "no-such-org"), json=body, headers=headers
        )
    problem(there, 404, "not-found")
    assert there.content == absent.content
    assert world.memory.writes == 0


async def test_an_unknown_provider_is_404(world: World) -> None:
    async with world.person(OWNER) as client:
        problem(await client.get("/api/v1/orgs/acme/ai-integrations/mistral"), 404, "not-found")


async def test_the_first_put_without_a_key_is_422(world: World) -> None:
    async with world.person(OWNER) as client:
        body = problem(await put(client, {"enabled": True}), 422, "key-required")
    assert pointers(body) == {"#/api_key"}


async def test_a_changed_endpoint_without_the_key_is_422_and_writes_no_secret(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "enabled": True})
        revision = world.revision()
        for answer in (
            await put(client, {"endpoint": CUSTOM, "enabled": True}),
            await patch(client, {"endpoint": CUSTOM}),
            await patch(client, {"endpoint": CUSTOM, "api_key": None}),
        ):
            assert pointers(problem(answer, 422, "key-required")) == {"#/api_key", "#/endpoint"}
    assert (world.memory.writes, world.revision()) == (1, revision)


async def test_with_the_key_the_endpoint_changes_and_the_secret_carries_it(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "enabled": True})
        moved = await patch(client, {"endpoint": "https://GATEWAY.acme.test:443/v1/", "api_key": KEY})
        assert moved.json()["endpoint"] == CUSTOM
        assert world.memory.documents["acme", "openai"][2].endpoint == CUSTOM
        kept = await put(client, {"enabled": False})
        assert kept.json()["endpoint"] == CUSTOM, "an endpoint that is left out stays"
        own = await put(client, {"endpoint": None, "enabled": True})
        problem(own, 422, "key-required")
        own = await put(client, {"endpoint": None, "api_key": KEY, "enabled": True})
        assert own.json()["endpoint"] == "https://api.openai.com/v1"


async def test_what_is_unchanged_writes_nothing(world: World) -> None:
    async with world.person(OWNER) as client:
        first = await put(client, {"api_key": KEY, "endpoint": CUSTOM, "enabled": True})
        revision = world.revision()
        for answer in (
            await put(client, {"enabled": True}),
            await put(client, {"endpoint": CUSTOM, "enabled": True}),
            await put(client, {"endpoint": "https://Gateway.Acme.test/v1/", "enabled": True}),
            await patch(client, {}),
        ):
            assert answer.status_code == 200
            assert answer.headers["etag"] == first.headers["etag"]
    assert (world.memory.writes, world.revision()) == (1, revision)


async def test_the_switch_writes_no_secret(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "enabled": True})
        off = await patch(client, {"enabled": False})
        assert off.json()["state"] == "disabled"
        assert off.json()["key"]["set"] is True
    assert world.memory.writes == 1
    assert world.snapshot().integrations == (
        IntegrationRow("acme", "openai", enabled=False, secret_version=1),
    )


async def test_a_rotated_key_is_a_new_version_with_a_new_fingerprint(world: World) -> None:
    async with world.person(OWNER) as client:
        first = (await put(client, {"api_key": KEY, "enabled": True})).json()
        second = (await put(client, {"api_key": KEY + "-2", "enabled": True})).json()
        third = (await put(client, {"api_key": KEY, "enabled": True})).json()
    assert first["key"]["fingerprint"] == third["key"]["fingerprint"] != second["key"]["fingerprint"]
    assert first["key"]["updated_at"] < second["key"]["updated_at"]
    assert world.snapshot().integrations[0].secret_version == 3


async def test_clear_forgets_everything_but_the_revision_and_is_idempotent(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "endpoint": CUSTOM, "enabled": True})
        cleared = await client.delete(OPENAI, headers={"if-match": "*"})
        body = cleared.json()
        assert (cleared.status_code, body["state"]) == (200, "not_set_up")
        assert body["key"]["set"] is False
        assert body["key"]["last4"] is None
        assert body["endpoint"] == "https://api.openai.com/v1"
        again = await client.delete(OPENAI, headers={"if-match": cleared.headers["etag"]})
        assert again.headers["etag"] == cleared.headers["etag"]
        problem(await patch(client, {"enabled": True}), 409, "not-set-up")
        back = await put(client, {"api_key": KEY, "enabled": True}, cleared.headers["etag"])
        assert back.status_code == 200
    assert world.snapshot().integrations[0].secret_version == 2, "a version is never used twice"


@pytest.mark.parametrize(
    "key", ["", "short", "sk-…AbCd", "****WXYZ", "with space 123", "run9-placeholder", "x" * 513]
)
async def test_a_bad_key_is_422_at_its_pointer(world: World, key: str) -> None:
    async with world.person(OWNER) as client:
        body = problem(await put(client, {"api_key": key, "enabled": True}), 422, "key-refused")
    assert pointers(body) == {"#/api_key"}
    assert world.memory.writes == 0


async def test_a_key_of_the_other_provider_is_saved_with_a_warning(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await put(client, {"api_key": "sk-ant-api03-0123456789", "enabled": True})
    assert answer.status_code == 200
    assert "Anthropic" in answer.json()["warnings"][0]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://gateway.acme.test",
        "https://127.0.0.1",
        "https://u:p@gateway.acme.test",
        "nonsense",
        "https://x?y",
    ],
)
async def test_a_bad_endpoint_is_422_at_its_pointer(world: World, endpoint: str) -> None:
    async with world.person(OWNER) as client:
        answer = await put(client, {"api_key": KEY, "endpoint": endpoint, "enabled": True})
    assert pointers(problem(answer, 422, "endpoint-refused")) == {"#/endpoint"}
    assert world.memory.writes == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["93.184.216.34", "127.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
    ],
)
async def test_a_name_with_any_internal_address_is_refused_at_save(
    world: World, addresses: list[str]
) -> None:
    world.resolver.names["gateway.acme.test"] = addresses
    async with world.person(OWNER) as client:
        answer = await put(client, {"api_key": KEY, "endpoint": CUSTOM, "enabled": True})
    problem(answer, 422, "endpoint-refused")
    assert world.memory.writes == 0


async def test_a_name_that_does_not_exist_is_refused_as_one_that_leads_inside(world: World) -> None:
    world.resolver.names["inside.acme.test"] = ["10.0.0.1"]
    answers = []
    async with world.person(OWNER) as client:
        for host in ("inside.acme.test", "not-there.acme.test"):
            body = {"api_key": KEY, "endpoint": f"https://{host}/v1", "enabled": True}
            answers.append(await put(client, body))
    inside, nowhere = answers
    problem(inside, 422, "endpoint-refused")
    assert inside.json() == nowhere.json()
    assert world.memory.writes == 0


async def test_the_providers_own_endpoint_is_never_looked_up(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "endpoint": "https://api.openai.com/v1", "enabled": True})
    assert world.resolver.asked == []


async def test_a_failing_secret_store_changes_nothing(world: World) -> None:
    world.memory.failing = True
    revision = world.revision()
    async with world.person(OWNER) as client:
        answer = await put(client, {"api_key": KEY, "enabled": True})
        problem(answer, 503, "secret-store-unavailable")
        assert (await client.get(OPENAI)).json()["state"] == "not_set_up"
    assert world.revision() == revision


async def test_disable_and_clear_need_no_secret_store(world: World) -> None:
    async with world.person(OWNER) as client:
        await put(client, {"api_key": KEY, "enabled": True})
        world.memory.failing = True
        assert (await patch(client, {"enabled": False})).json()["state"] == "disabled"
        assert (await client.delete(OPENAI, headers={"if-match": "*"})).json()["state"] == "not_set_up"


async def test_of_two_owners_who_write_at_once_one_wins_and_one_is_told(world: World) -> None:
    async with world.person(OWNER) as client:
        etag = (await put(client, {"api_key": KEY, "enabled": True})).headers["etag"]
        before = world.revision()
        answers = await asyncio.gather(
            *(put(client, {"api_key": f"{KEY}-{number}", "enabled": True}, etag) for number in range(6))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5
    assert world.revision() == before + 1
    winner = next(answer for answer in answers if answer.status_code == 200)
    pinned = world.snapshot().integrations[0].secret_version
    stored = world.memory.documents["acme", "openai"][pinned]
    assert winner.json()["key"]["last4"] == stored.api_key.reveal()[-4:]


async def test_writers_who_overwrite_any_state_all_succeed_in_turn(world: World) -> None:
    async with world.person(OWNER) as client:
        answers = await asyncio.gather(
            *(put(client, {"api_key": f"{KEY}-{number}", "enabled": True}) for number in range(3))
        )
    assert {answer.status_code for answer in answers} == {200}
    revisions = sorted(answer.json()["revision"] for answer in answers)
    assert revisions == [4, 5, 6]
    assert [event.revision for event in world.events()] == [1, 2, 3, 4, 5, 6]
