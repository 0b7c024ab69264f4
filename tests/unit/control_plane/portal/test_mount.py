"""The Portal's routes without a browser: headers, the way in and out, and permitted writes with a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.control_plane.portal.attempt_limit import MAX_ATTEMPTS
from services.control_plane.portal.headers import CONTENT_SECURITY_POLICY
from services.control_plane.sign_in.browser import (
    LINK_SECONDS,
    SESSION_COOKIE,
    SESSION_SECONDS,
    BrowserSignIn,
)
from tests.unit.control_plane.world import KEY, OPENAI, OWNER, World

ORIGIN = "http://control-plane.test"
OWN = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
PAGES = ("/", "/orgs/acme/ai-integrations", "/orgs/acme/members", "/orgs/acme/history", "/sign-in")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


async def signed_in(world: World, client: httpx.AsyncClient) -> httpx.Response:
    token = world.context.browser.new_link_token(OWNER)
    answer = await client.post("/sign-in/link", json={"token": token}, headers=OWN)
    assert answer.status_code == 204, answer.text
    return answer


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_every_security_header(world: World, path: str) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        answer = await client.get(path)
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    for loophole in ("unsafe", "http:", "https:", "data:", "*"):
        assert loophole not in CONTENT_SECURITY_POLICY
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in headers  # by plain http it means nothing
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


async def test_static_files_are_kept_for_ever_under_an_address_of_their_content(world: World) -> None:
    async with world.client() as client:
        page = (await client.get("/sign-in")).text
        address = page.partition('<script type="module" src="')[2].partition('"')[0]
        answer = await client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-encoding"] == "gzip"
        plain = await client.get(address, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content
        for other in ("/static/0000000000000000/main.js", address.replace("main.js", "__init__.py")):
            assert (await client.get(other)).status_code == 404


async def test_a_page_leads_who_is_not_signed_in_to_the_sign_in_and_back(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/orgs/acme/history")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?to=%2Forgs%2Facme%2Fhistory"


async def test_a_link_opens_one_session_within_its_time(world: World) -> None:
    token = world.context.browser.new_link_token(OWNER)
    late = world.context.browser.new_link_token(OWNER)
    async with world.client() as client:
        assert (await client.get("/api/v1/me")).status_code == 401
        answer = await client.post("/sign-in/link", json={"token": token}, headers=OWN)
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert (await client.get("/api/v1/me")).json() == {"email": OWNER}
        assert (await client.post("/sign-in/link", json={"token": token}, headers=OWN)).status_code == 401
        world.clock.now += LINK_SECONDS
        assert (await client.post("/sign-in/link", json={"token": late}, headers=OWN)).status_code == 401


async def test_a_session_ends_with_its_time_and_by_signing_out(world: World) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        kept = dict(client.cookies)
        assert (await client.post("/sign-out", headers=OWN)).status_code == 204
        assert SESSION_COOKIE not in client.cookies
    async with world.client() as client:
        client.cookies.update(kept)
        assert (await client.get("/api/v1/me")).status_code == 401
        client.cookies.clear()
        await signed_in(world, client)
        world.clock.now += SESSION_SECONDS
        assert (await client.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "https://control-plane.test"},
        {"origin": f"{ORIGIN}.evil.test"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"referer": f"{ORIGIN}/"},
    ],
)
async def test_a_write_by_cookie_comes_from_the_portals_own_origin(
    world: World, headers: dict[str, str]
) -> None:
    body = {"api_key": KEY, "enabled": True}
    async with world.client() as client:
        await signed_in(world, client)
        revision = world.revision()
        for answer in (
            await client.put(OPENAI, json=body, headers={"if-match": "*", **headers}),
            await client.request("DELETE", OPENAI, headers={"if-match": "*", **headers}),
            await client.post(f"{OPENAI}/test", json={"api_key": KEY}, headers=headers),
            await client.post("/sign-out", headers=headers),
            await client.post("/sign-in/link", json={"token": "x"}, headers=headers),
        ):
            assert answer.status_code == 403
            assert answer.json()["type"].endswith(":cross-origin")
        assert world.revision() == revision
        own = await client.put(OPENAI, json=body, headers={"if-match": "*", **OWN})
        assert own.status_code == 200


async def test_a_bearer_token_needs_no_origin_and_wins_over_a_cookie(world: World) -> None:
    async with world.person(OWNER) as client:
        answer = await client.put(
            OPENAI, json={"api_key": KEY, "enabled": True}, headers={"if-match": "*", "cookie": "x=y"}
        )
        assert answer.status_code == 200
    async with world.client("no-token") as client:
        token = world.context.browser.new_link_token(OWNER)
        await client.post("/sign-in/link", json={"token": token}, headers=OWN)
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_the_platforms_interface_takes_no_session(world: World) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        answer = await client.put("/api/v1/orgs/new", json={"name": "New"}, headers=OWN)
    assert answer.status_code == 401


async def test_signing_in_is_tried_a_few_times_a_minute(world: World) -> None:
    async with world.client() as client:
        for _ in range(MAX_ATTEMPTS):
            assert (await client.post("/sign-in/link", json={"token": "x"}, headers=OWN)).status_code == 401
        answer = await client.post("/sign-in/link", json={"token": "x"}, headers=OWN)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


async def test_by_https_the_cookie_belongs_to_this_host_alone(world: World) -> None:
    browser = BrowserSignIn(world.database, world.clock, "https://portal.test")
    secure = World(world.folder, database_url=world.database_url, browser=browser)
    own = {"origin": "https://portal.test"}
    async with secure.client() as client:
        token = browser.new_link_token(OWNER)
        answer = await client.post("/sign-in/link", json={"token": token}, headers=own)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"__Host-{SESSION_COOKIE}=")
        for part in ("; Secure", "; HttpOnly", "; Path=/", "; SameSite=lax"):
            assert part in cookie
        assert "Domain" not in cookie
        assert "strict-transport-security" in (await client.get("/sign-in")).headers
        plain = await client.post("/sign-in/link", json={"token": token}, headers=OWN)
        assert plain.status_code == 403
    secure.close()


async def test_the_database_holds_no_session_and_no_link_that_could_be_used(world: World) -> None:
    async with world.client() as client:
        answer = await signed_in(world, client)
    token = world.context.browser.new_link_token(OWNER)
    session = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    stored = b"".join(path.read_bytes() for path in world.folder.glob("control-plane.db*"))
    assert session.encode() not in stored
    assert token.encode() not in stored
