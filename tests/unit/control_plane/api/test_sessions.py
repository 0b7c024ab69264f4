"""Ending a person's sessions: permissions, the sessions' owner, and the audit's entry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from services.control_plane.sign_in.bearer import Person
from tests.unit.control_plane.portal.test_mount import OWN
from tests.unit.control_plane.world import MEMBER, OWNER, PLATFORM_TOKEN, STRANGER, World

OF_MEMBER = f"/api/v1/orgs/acme/members/{MEMBER}/sessions"


@asynccontextmanager
async def browser_of(world: World, email: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which a person has signed in."""
    async with world.client() as client:
        token = world.context.browser.new_link_token(email)
        assert (await client.post("/sign-in/link", json={"token": token}, headers=OWN)).status_code == 204
        yield client


async def is_signed_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/v1/me")).status_code == 200


async def test_an_owner_ends_the_sessions_of_a_member_and_the_org_can_read_so(world: World) -> None:
    async with browser_of(world, MEMBER) as one, browser_of(world, MEMBER) as other:
        async with browser_of(world, OWNER) as owner:
            answer = await owner.delete(OF_MEMBER, headers=OWN)
            assert (answer.status_code, answer.json()) == (200, {"ended": 2})
            assert await is_signed_in(owner)
            assert (await owner.delete(OF_MEMBER, headers=OWN)).json() == {"ended": 0}
            entries = (await owner.get("/api/v1/orgs/acme/audit")).json()["items"]
        assert not await is_signed_in(one)
        assert not await is_signed_in(other)
    told = [(entry["actor"], entry["target"]) for entry in entries if entry["action"] == "sessions.ended"]
    assert told == [(OWNER, MEMBER)]


async def test_unused_links_of_the_person_end_with_the_sessions_and_others_stay(
    world: World,
) -> None:
    browser = world.context.browser
    of_member, of_owner = browser.new_link_token(MEMBER), browser.new_link_token(OWNER)
    async with world.person(OWNER) as owner:
        assert (await owner.delete(OF_MEMBER)).json() == {"ended": 0}
    assert browser.use_link_token(of_member) is None
    assert browser.use_link_token(of_owner) == Person(OWNER)
    of_stranger = browser.new_link_token(STRANGER)
    async with world.client(PLATFORM_TOKEN) as platform:
        await platform.delete(f"/api/v1/people/{STRANGER}/sessions")
    assert browser.use_link_token(of_stranger) is None


@pytest.mark.parametrize(("email", "status"), [(MEMBER, 403), (STRANGER, 404)])
async def test_only_an_owner_may(world: World, email: str, status: int) -> None:
    async with browser_of(world, OWNER) as owner:
        async with world.person(email) as client:
            answer = await client.delete(f"/api/v1/orgs/acme/members/{OWNER}/sessions")
            assert answer.status_code == status
            assert (await client.delete(f"/api/v1/people/{OWNER}/sessions")).status_code == 401
        assert await is_signed_in(owner)


async def test_an_owner_reaches_nobody_outside_the_org(world: World) -> None:
    async with browser_of(world, STRANGER) as stranger, world.person(OWNER) as owner:
        answer = await owner.delete(f"/api/v1/orgs/acme/members/{STRANGER}/sessions")
        assert answer.status_code == 404
        assert await is_signed_in(stranger)


async def test_the_platform_ends_anybodys_sessions_and_reads_so(world: World) -> None:
    async with browser_of(world, STRANGER) as stranger, world.client(PLATFORM_TOKEN) as platform:
        assert (await platform.delete(f"/api/v1/people/{STRANGER.upper()}/sessions")).json() == {"ended": 1}
        assert not await is_signed_in(stranger)
        entries = (await platform.get("/api/v1/audit", params={"action": "sessions.ended"})).json()["items"]
    assert [(entry["actor"], entry["target"]) for entry in entries] == [("platform", STRANGER)]


async def test_a_session_that_is_ended_may_not_end_others_from_another_origin(world: World) -> None:
    async with browser_of(world, OWNER) as owner:
        answer = await owner.delete(OF_MEMBER, headers={"origin": "http://evil.test"})
        assert answer.status_code == 403
