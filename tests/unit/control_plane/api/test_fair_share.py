"""The share of a person and of an org in the control plane over REST; no excess holds others up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.control_plane.key_test.resolve import (
    MAX_LOOKUPS,
    MAX_LOOKUPS_EACH,
    Requester,
    SystemResolver,
    TooManyLookUps,
)
from services.control_plane.rules.problems import TYPE_PREFIX
from services.control_plane.store.changes import Author, changing
from services.control_plane.store.orgs import live_org, put_member, put_org
from tests.unit.control_plane.world import (
    ANTHROPIC,
    KEY,
    MEMBER,
    OPENAI,
    OWNER,
    PLATFORM_TOKEN,
    STRANGER,
    UNLIMITED,
    World,
)

OTHER_OWNER = "owner@other.test"
OTHER = OPENAI.replace("acme", "other")
ANY = {"if-match": "*"}
PUT = {"api_key": KEY, "enabled": True}
CUSTOM = {**PUT, "endpoint": "https://silent.acme.test/v1"}
SOON_SECONDS = 0.3
COLLUDING = 8


def new_world(folder: Path, **options: Any) -> World:
    """A world with a second org that has an owner of its own."""
    world = World(folder, **options)
    author = Author("platform", 0.0)
    with changing(world.database) as session:
        put_org(session, author, "other", "Other")
    with changing(world.database) as session:
        org = live_org(session, "other")
        assert org is not None
        put_member(session, author, org, OTHER_OWNER, "owner")
    return world


def over_limit(answer: httpx.Response, name: str) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.json()["type"] == TYPE_PREFIX + name
    assert int(answer.headers["retry-after"]) >= 1


async def change(client: httpx.AsyncClient, path: str) -> httpx.Response:
    return await client.put(path, json=PUT, headers=ANY)


async def test_an_org_changes_only_so_often_and_another_org_is_not_held_up(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, org_changes=2))
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:
        assert [(await change(owner, path)).status_code for path in (OPENAI, ANTHROPIC)] == [200, 200]
        for method in ("PUT", "PATCH", "DELETE"):
            over_limit(await owner.request(method, OPENAI, json=PUT, headers=ANY), "too-many-changes")
        assert (await owner.get(OPENAI)).status_code == 200
        assert (await change(other, OTHER)).status_code == 200
    world.close()


async def test_strangers_and_members_use_up_nothing_of_an_org(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, org_changes=1, org_key_tests=1))
    for email, status in ((STRANGER, 404), (MEMBER, 403)):
        async with world.person(email) as client:
            for _ in range(3):
                assert (await change(client, OPENAI)).status_code == status
                assert (await client.post(OPENAI + "/test", json={"api_key": KEY})).status_code == status
    async with world.person(OWNER) as owner:
        assert (await change(owner, OPENAI)).status_code == 200
    world.close()


async def test_a_person_changes_only_so_often_in_all_orgs_together(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, person_changes=1))
    async with world.person(OTHER_OWNER) as other, world.person(OWNER) as owner:
        assert (await change(other, OPENAI)).status_code == 404
        over_limit(await change(other, OTHER), "too-many-changes")
        assert (await change(owner, OPENAI)).status_code == 200
    world.close()


async def test_the_platform_has_a_share_of_each_org_apart_from_its_owners(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, platform_changes=2, org_changes=1))
    member = "/api/v1/orgs/acme/members/new@acme.test"
    async with world.client(PLATFORM_TOKEN) as platform, world.person(OWNER) as owner:
        assert (await platform.put(member, json={"role": "member"})).status_code == 200
        assert (await platform.delete(member)).status_code == 204
        over_limit(await platform.put(member, json={"role": "member"}), "too-many-changes")
        over_limit(await platform.delete("/api/v1/orgs/acme"), "too-many-changes")
        assert (await platform.put("/api/v1/orgs/other", json={"name": "Other"})).status_code == 200
        assert (await change(owner, OPENAI)).status_code == 200
    world.close()


@pytest.mark.parametrize("limit", ["person_reads", "org_reads"])
@pytest.mark.parametrize("path", ["audit", "members"])
async def test_a_list_is_read_only_so_often_and_another_org_is_not_held_up(
    tmp_path: Path, limit: str, path: str
) -> None:
    # A full bucket is the refill of 20 seconds: 24 reads. A page of 200 counts as ten, the question as one.
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, **{limit: 72}))
    pages = f"/api/v1/orgs/acme/{path}?limit=200"
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:
        assert [(await owner.get(pages)).status_code for _ in range(2)] == [200, 200]
        refused = await owner.get(pages)
        over_limit(refused, "too-many-reads")
        assert int(refused.headers["retry-after"]) <= 10
        assert (await other.get(pages.replace("acme", "other"))).status_code == 200
    world.close()


async def test_strangers_use_up_no_reads_of_an_org(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, org_reads=30))
    async with world.person(STRANGER) as stranger, world.person(OWNER) as owner:
        for _ in range(3):
            assert (await stranger.get("/api/v1/orgs/acme/audit?limit=200")).status_code == 404
        assert (await owner.get("/api/v1/orgs/acme/audit?limit=200")).status_code == 200
    world.close()


async def test_every_read_of_a_person_counts_before_anything_is_read(tmp_path: Path) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, person_reads=3))
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:
        assert (await owner.get(OPENAI)).status_code == 200
        for path in ("/api/v1/orgs", "/api/v1/me", "/api/v1/orgs/acme", OPENAI, f"{OPENAI}/rollout"):
            over_limit(await owner.get(path), "too-many-reads")
        assert (await change(owner, OPENAI)).status_code == 200, "changes have a share of their own"
        assert (await other.get(OTHER)).status_code == 200
    world.close()


@pytest.mark.parametrize("limit", ["person_key_tests", "org_key_tests"])
async def test_keys_are_tested_only_so_often(tmp_path: Path, limit: str) -> None:
    world = new_world(tmp_path, share_sizes=replace(UNLIMITED, **{limit: 2}))
    body = {"api_key": KEY, "endpoint": "https://absent.acme.test/v1"}
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:
        for _ in range(2):
            assert (await owner.post(OPENAI + "/test", json=body)).status_code == 200
        over_limit(await owner.post(OPENAI + "/test", json=body), "too-many-key-tests")
        assert (await other.post(OTHER + "/test", json=body)).status_code == 200
    world.close()


class SilentNames:
    """A name server that is silent until released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = 0

    def __call__(self, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        self.released.wait()
        return [(2, 1, 6, "", ("93.184.216.34", 443))]


@pytest.fixture
def silent() -> Iterator[SilentNames]:
    names = SilentNames()
    yield names
    names.released.set()


@pytest.mark.parametrize("way", ["save", "test"])
async def test_a_silent_name_server_of_one_org_holds_nobody_else_up(
    tmp_path: Path, silent: SilentNames, way: str
) -> None:
    resolver = SystemResolver(look_up=silent, timeout_seconds=SOON_SECONDS)
    world = new_world(tmp_path, resolver=resolver)
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:

        async def attack() -> httpx.Response:
            if way == "save":
                return await owner.put(OPENAI, json=CUSTOM, headers=ANY)
            typed = {"api_key": KEY, "endpoint": CUSTOM["endpoint"]}
            return await owner.post(OPENAI + "/test", json=typed)

        async with asyncio.TaskGroup() as group:
            attacks = [group.create_task(attack()) for _ in range(50)]
            await asyncio.sleep(SOON_SECONDS / 3)
            began = time.monotonic()
            assert (await change(other, OTHER)).status_code == 200
            assert (await other.get("/readyz")).status_code == 200
            assert time.monotonic() - began < 5
        statuses = [attack.result().status_code for attack in attacks]
    assert set(statuses) <= {200, 412, 429}
    assert silent.asked <= MAX_LOOKUPS_EACH
    world.close()
    resolver.close()


@pytest.mark.parametrize("way", ["save", "test"])
async def test_who_has_no_look_up_under_way_is_not_blamed_for_those_of_others(
    tmp_path: Path, silent: SilentNames, way: str
) -> None:
    resolver = SystemResolver(look_up=silent, timeout_seconds=60, wait_seconds=SOON_SECONDS)
    world = new_world(tmp_path, resolver=resolver)
    async with world.person(OWNER) as owner, asyncio.TaskGroup() as group:
        for number in range(MAX_LOOKUPS):
            requester = Requester(f"org-{number}", f"{number}@orgs.test")
            group.create_task(resolver.resolve(requester, "silent.orgs.test", 443))
        await asyncio.sleep(0)
        if way == "save":
            answer = await owner.put(OPENAI, json=CUSTOM, headers=ANY)
        else:
            typed = {"api_key": KEY, "endpoint": CUSTOM["endpoint"]}
            answer = await owner.post(OPENAI + "/test", json=typed)
        silent.released.set()
    over_limit(answer, "too-many-look-ups")
    assert "for others" in answer.json()["detail"]
    world.close()
    resolver.close()


async def test_eight_owners_who_hold_all_they_may_leave_look_ups_to_other_orgs(
    tmp_path: Path, silent: SilentNames
) -> None:
    resolver = SystemResolver(look_up=silent, timeout_seconds=60, wait_seconds=SOON_SECONDS)
    world = new_world(tmp_path, resolver=resolver)
    async with world.person(OWNER) as owner, asyncio.TaskGroup() as group:
        for number in range(2 * COLLUDING):
            requester = Requester(f"org-{number % COLLUDING}", f"{number % COLLUDING}@orgs.test")
            group.create_task(resolver.resolve(requester, "silent.orgs.test", 443))
        await asyncio.sleep(0)
        ninth = Requester("org-9", "9@orgs.test")
        group.create_task(resolver.resolve(ninth, "silent.orgs.test", 443))
        await asyncio.sleep(0)
        with pytest.raises(TooManyLookUps):  # the reserve has a first look-up for everybody, and no second
            await resolver.resolve(ninth, "silent.orgs.test", 443)
        answer = group.create_task(owner.put(OPENAI, json=CUSTOM, headers=ANY))
        async with asyncio.timeout(5):
            while silent.asked < 2 * COLLUDING + 2:  # noqa: ASYNC110  # a thread counts
                await asyncio.sleep(0.01)
        silent.released.set()
    assert answer.result().status_code == 200
    world.close()
    resolver.close()


async def test_one_persons_requests_wait_for_their_turns_and_are_answered(
    tmp_path: Path,
) -> None:
    world = new_world(tmp_path)
    async with world.person(OWNER) as owner, world.person(OTHER_OWNER) as other:
        answers = await asyncio.gather(*(owner.get(OPENAI) for _ in range(60)), other.get(OTHER))
        assert {answer.status_code for answer in answers} == {200}
        answers = await asyncio.gather(*(owner.get(OPENAI) for _ in range(120)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        for answer in refused:
            over_limit(answer, "too-many-requests")
    world.close()


async def test_running_key_tests_leave_a_person_every_turn(tmp_path: Path, silent: SilentNames) -> None:
    resolver = SystemResolver(look_up=silent)
    world = new_world(tmp_path, resolver=resolver)
    typed = {"api_key": KEY, "endpoint": CUSTOM["endpoint"]}
    async with world.person(OWNER) as owner, asyncio.TaskGroup() as group:
        tests = [group.create_task(owner.post(OPENAI + "/test", json=typed)) for _ in range(2)]
        for _ in range(400):
            if silent.asked == len(tests):
                break
            await asyncio.sleep(0.01)
        began = time.monotonic()
        assert (await owner.get(OPENAI)).status_code == 200
        assert not any(test.done() for test in tests)
        assert time.monotonic() - began < 2
        silent.released.set()
    world.close()
    resolver.close()


async def test_whoever_asks_for_key_tests_of_a_foreign_org_waits_for_a_turn(tmp_path: Path) -> None:
    world = new_world(tmp_path)
    async with world.person(STRANGER) as stranger:
        asked = (stranger.post(OPENAI + "/test", json={"api_key": KEY}) for _ in range(120))
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {404, 429}
    world.close()
