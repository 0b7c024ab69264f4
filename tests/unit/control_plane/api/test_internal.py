"""The fleet's snapshot: its token, its ETag, its content."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from shared.config_feed import decode_snapshot, encode_snapshot, snapshot_etag
from tests.unit.control_plane.world import KEY, OPENAI, OWNER, PLATFORM_TOKEN, World

SNAPSHOT = "/internal/v1/snapshot"


async def test_the_fleet_gets_the_whole_configuration_with_its_revision_as_etag(world: World) -> None:
    async with world.person(OWNER) as client:
        await client.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
    async with world.fleet() as client:
        answer = await client.get(SNAPSHOT)
    assert answer.status_code == 200
    snapshot = decode_snapshot(answer.content)
    assert snapshot == world.snapshot()
    assert answer.headers["etag"] == snapshot_etag(snapshot.epoch, snapshot.revision)
    assert KEY[-8:].encode() not in answer.content


async def test_a_known_revision_is_304_until_something_changes(world: World) -> None:
    async with world.fleet() as client:
        etag = (await client.get(SNAPSHOT)).headers["etag"]
        same = await client.get(SNAPSHOT, headers={"if-none-match": etag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        async with world.person(OWNER) as owner:
            await owner.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        changed = await client.get(SNAPSHOT, headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize("bearer", [None, "", "wrong", PLATFORM_TOKEN])
async def test_nobody_else_gets_it(world: World, bearer: str | None) -> None:
    async with world.fleet(bearer) as client:
        answer = await client.get(SNAPSHOT)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_the_internal_listener_has_no_public_path(world: World) -> None:
    async with world.fleet() as client:
        assert (await client.get("/api/v1/me")).status_code == 404


async def test_a_caller_above_the_counter_gets_the_snapshot_of_a_new_epoch(world: World) -> None:
    now = world.snapshot()
    ahead = snapshot_etag(now.epoch, now.revision + 6)
    async with world.fleet() as client:
        answer = await client.get(SNAPSHOT, headers={"if-none-match": ahead})
    found = decode_snapshot(answer.content)
    assert (found.epoch != now.epoch, found.revision) == (True, now.revision)
    assert world.snapshot() == found


async def test_a_snapshot_is_built_once_for_all_who_ask_at_once(world: World) -> None:
    built = count_snapshots(world)
    async with world.fleet() as client:
        answers = await asyncio.gather(*(client.get(SNAPSHOT) for _ in range(24)))
        assert len(built) == 1
        assert {answer.content for answer in answers} == {encode_snapshot(world.snapshot())}
        async with world.person(OWNER) as owner:
            await owner.put(OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*"})
        built.clear()
        assert (await client.get(SNAPSHOT)).content == (await client.get(SNAPSHOT)).content
        assert len(built) == 1


def count_snapshots(world: World) -> list[str]:
    """Note each statement that reads all integrations."""
    seen: list[str] = []

    def note(*execution: Any) -> None:
        if "integrations.secret_version" in execution[2]:
            seen.append(execution[2])

    event.listen(world.database.engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, deflate", "gzip"), ("identity", None)])
async def test_a_snapshot_is_compressed_for_whoever_accepts_it(
    world: World, accepted: str, encoding: str | None
) -> None:
    async with world.fleet() as client:
        answer = await client.get(SNAPSHOT, headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert decode_snapshot(answer.content) == world.snapshot()
