"""Which requests count as attempts to sign in, and which must not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from services.control_plane.app import public_app
from services.control_plane.portal.attempt_limit import MAX_ATTEMPTS
from services.control_plane.sign_in.browser import OIDC_COOKIE, BrowserSignIn
from tests.unit.control_plane.sign_in.provider import Provider
from tests.unit.control_plane.world import OWNER, World

ORIGIN = "https://portal.test"
OWN = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
FOREIGN = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def client(world: World, provider: Provider) -> httpx.AsyncClient:
    """A browser at a Portal where people sign in at `provider`."""
    browser = BrowserSignIn(world.database, world.clock, ORIGIN)
    app = public_app(replace(world.context, browser=browser, oidc=provider.client()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


async def test_departures_lock_nobody_out(
    world: World, client: httpx.AsyncClient, provider: Provider
) -> None:
    token = world.context.browser.new_link_token(OWNER)
    async with client:
        for _ in range(3 * MAX_ATTEMPTS):
            assert (await client.get("/sign-in/start")).status_code == 303
        assert (await client.post("/sign-in/link", json={"token": token}, headers=OWN)).status_code == 204
        left = await client.get("/sign-in/start", params={"to": "/orgs/acme/members"})
        back = await client.get("/sign-in/callback", params=provider.authorize(left.headers["location"]))
        assert (back.status_code, back.headers["location"]) == (303, "/orgs/acme/members")
        assert (await client.get("/api/v1/me")).json() == {"email": OWNER}


async def test_departures_leave_threads_to_everybody_else(world: World, client: httpx.AsyncClient) -> None:
    async with client, world.person(OWNER) as owner, asyncio.TaskGroup() as group:
        with world.database.quiet_write() as session:
            session.execute(text("SELECT 1"))  # from here on every other write waits
            starts = [group.create_task(client.get("/sign-in/start")) for _ in range(60)]
            await asyncio.sleep(0.3)
            async with asyncio.timeout(3):
                assert (await owner.get("/api/v1/orgs")).status_code == 200
            assert not any(start.done() for start in starts)
    assert {start.result().status_code for start in starts} == {303}


async def test_sign_ins_that_succeed_use_up_nobodys_attempts(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    async with client:
        for _ in range(MAX_ATTEMPTS + 1):
            left = await client.get("/sign-in/start")
            assert left.status_code == 303, "many people may sit behind one address"
            back = await client.get("/sign-in/callback", params=provider.authorize(left.headers["location"]))
            assert (back.status_code, back.headers["location"]) == (303, "/")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_on_a_page_elsewhere_begins_no_sign_in_and_uses_up_no_attempt(
    client: httpx.AsyncClient, provider: Provider, site: str
) -> None:
    async with client:
        for _ in range(MAX_ATTEMPTS + 1):
            answer = await client.get(
                "/sign-in/start", params={"to": "/orgs/acme/history"}, headers={"sec-fetch-site": site}
            )
            assert answer.headers["location"] == "/sign-in?to=%2Forgs%2Facme%2Fhistory"
            assert "set-cookie" not in answer.headers, "a sign-in that is under way stays as it is"
        assert provider.asked == []
        assert "login.test" in (await client.get("/sign-in/start")).headers["location"]


@pytest.mark.parametrize("site", ["same-origin", "none", None])
async def test_our_own_page_and_a_person_may_begin_a_sign_in(
    client: httpx.AsyncClient, site: str | None
) -> None:
    async with client:
        headers = {} if site is None else {"sec-fetch-site": site}
        answer = await client.get("/sign-in/start", headers=headers)
        assert answer.headers["location"].startswith("https://login.test/auth?")


async def test_who_never_left_comes_back_to_nothing_and_uses_up_no_attempt(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    async with client:
        for number in range(MAX_ATTEMPTS + 1):
            made_up = {"cookie": f"__Host-{OIDC_COOKIE}=made-up-{number}"}
            back = await client.get("/sign-in/callback?code=x&state=y", headers=made_up)
            assert back.headers["location"] == "/sign-in?failed=expired"
        assert (await client.get("/sign-in/start")).status_code == 303
    assert "/token" not in provider.asked


async def test_a_page_elsewhere_uses_up_nobodys_attempts(world: World, client: httpx.AsyncClient) -> None:
    token = world.context.browser.new_link_token(OWNER)
    async with client:
        for _ in range(MAX_ATTEMPTS + 1):
            answer = await client.post("/sign-in/link", json={"token": "guess"}, headers=FOREIGN)
            assert answer.status_code == 403
        answer = await client.post("/sign-in/link", json={"token": token}, headers=OWN)
        assert answer.status_code == 204


async def test_links_that_work_use_up_nobodys_attempts(world: World) -> None:
    browser = BrowserSignIn(world.database, world.clock, ORIGIN)
    app = public_app(replace(world.context, browser=browser))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:

        async def use(token: str) -> int:
            answer = await client.post("/sign-in/link", json={"token": token}, headers={"origin": ORIGIN})
            return answer.status_code

        for _ in range(MAX_ATTEMPTS + 1):
            assert await use(browser.new_link_token(OWNER)) == 204
        assert {await use(f"made-up-{number}") for number in range(MAX_ATTEMPTS)} == {401}
        assert await use("made-up") == 429
