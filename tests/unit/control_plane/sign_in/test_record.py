"""The audit's record of sign-ins is complete for people and bounded for attackers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.control_plane.api.key_test import MAX_NOTED_A_MINUTE
from services.control_plane.sign_in.record import (
    DAY_SECONDS,
    MAX_REFUSED_ROWS_A_DAY,
    MAX_ROWS_OF_A_PERSON_A_DAY,
    REFUSED,
    SIGNED_IN,
)
from tests.unit.control_plane.portal.test_mount import OWN, signed_in
from tests.unit.control_plane.world import KEY, MEMBER, OPENAI, OWNER, PLATFORM_TOKEN, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


async def entries(world: World, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    async with world.client(PLATFORM_TOKEN) as client:
        while True:
            params = query | {"limit": "200"} | ({} if cursor is None else {"cursor": cursor})
            body = (await client.get("/api/v1/audit", params=params)).json()
            found += body["items"]
            if (cursor := body["next_cursor"]) is None:
                return found


async def test_a_sign_in_and_a_refused_one_are_told_to_the_platform_alone(world: World) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        answer = await client.post("/sign-in/link", json={"token": "of nobody"}, headers=OWN)
        assert answer.status_code == 401
    refused, done = await entries(world)
    assert (done["action"], done["actor"], done["details"]["way"]) == (SIGNED_IN, OWNER, "link")
    assert (refused["action"], refused["actor"]) == (REFUSED, "unknown")
    assert refused["details"]["reason"] == "This link was used already, or is too old."
    assert refused["revision"] == 0
    async with world.person(OWNER) as client:
        assert (await client.get("/api/v1/audit")).status_code == 401
        seen = (await client.get("/api/v1/orgs/acme/audit")).json()["items"]
    assert not [entry for entry in seen if entry["action"].startswith("sign_in")]


async def test_who_is_refused_for_ever_writes_a_few_rows_a_day(world: World) -> None:
    record = world.context.browser.record
    for _ in range(MAX_REFUSED_ROWS_A_DAY + 500):
        record.refused("no", "oidc", "192.0.2.1")
    assert len(await entries(world)) == MAX_REFUSED_ROWS_A_DAY
    world.clock.now += DAY_SECONDS
    record.refused("no", "oidc", "192.0.2.1")
    newest = (await entries(world))[0]
    assert newest["details"]["not_noted"] == 500


async def test_one_person_takes_no_rows_from_another(world: World) -> None:
    record = world.context.browser.record
    for _ in range(2 * MAX_ROWS_OF_A_PERSON_A_DAY):
        record.signed_in(OWNER, "oidc", "")
    record.signed_in(MEMBER, "oidc", "")
    assert len(await entries(world, actor=OWNER)) == MAX_ROWS_OF_A_PERSON_A_DAY
    assert len(await entries(world, actor=MEMBER)) == 1


async def test_changes_of_nodes_can_be_read(world: World) -> None:
    key = {"kid": "k-1", "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    async with world.client(PLATFORM_TOKEN) as platform:
        assert (await platform.put("/api/v1/nodes/n-1", json=key)).status_code == 200
        assert (await platform.delete("/api/v1/nodes/n-1")).status_code == 204
    removed, put = await entries(world, target="n-1")
    assert (put["action"], put["actor"], put["details"]["added"]) == ("node.put", "platform", ["k-1"])
    assert (removed["action"], removed["details"]["kids"]) == ("node.removed", ["k-1"])
    assert removed["revision"] > put["revision"] > 0


async def test_a_key_test_is_in_the_history_of_its_org(world: World) -> None:
    async with world.person(OWNER) as client:
        world.resolver.names = {}
        answer = await client.post(f"{OPENAI}/test", json={"api_key": KEY})
        assert answer.status_code == 200, answer.text
        (entry, *_) = (await client.get("/api/v1/orgs/acme/audit")).json()["items"]
    assert (entry["action"], entry["actor"], entry["target"]) == ("integration.tested", OWNER, "openai")
    assert entry["details"] == {
        "tested": "typed",
        "endpoint": answer.json()["endpoint"],
        "verdict": answer.json()["verdict"],
    }
    assert KEY not in str(entry)


async def test_tests_without_end_fill_no_history(world: World) -> None:
    world.resolver.names = {}
    async with world.person(OWNER) as client:
        for _ in range(30):
            world.clock.now -= 4  # a clock that moves at every look: these are of one minute
            await client.post(f"{OPENAI}/test", json={"api_key": KEY})
        seen = (await client.get("/api/v1/orgs/acme/audit", params={"limit": 200})).json()["items"]
    noted = sum(entry["action"] == "integration.tested" for entry in seen)
    assert 0 < noted <= MAX_NOTED_A_MINUTE
