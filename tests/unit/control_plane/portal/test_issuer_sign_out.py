"""Signing out where people sign in at an issuer: its own sign-out, and the account prompt afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.control_plane.sign_in.oidc import SIGN_OUT_SECONDS, OidcClient, OidcSignIn
from tests.unit.control_plane.portal.test_mount import OWN, signed_in
from tests.unit.control_plane.sign_in.provider import CLIENT_ID, URL, Provider
from tests.unit.control_plane.world import PLATFORM_TOKEN, World

CALLBACK = "/sign-in/callback"


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def world(tmp_path: Path, provider: Provider) -> Iterator[World]:
    world = World(tmp_path)
    world.context = replace(world.context, oidc=provider.client())
    yield world
    world.close()


async def leave(client: httpx.AsyncClient) -> httpx.URL:
    return httpx.URL((await client.get("/sign-in/start")).headers["location"])


async def arrive(client: httpx.AsyncClient, provider: Provider, left: httpx.URL) -> httpx.Response:
    return await client.get(CALLBACK, params=provider.authorize(str(left)))


async def test_a_sign_out_goes_on_at_an_issuer_that_has_one(world: World, provider: Provider) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        assert (await client.post("/sign-out", headers=OWN)).status_code == 204
    provider.configuration = {"end_session_endpoint": f"{URL}/end"}
    world.context = replace(world.context, oidc=provider.client())
    async with world.client() as client:
        await signed_in(world, client)
        answer = await client.post("/sign-out", headers=OWN)
        there = httpx.URL(answer.json()["continue_at"])
        assert (str(there.copy_with(query=None)), there.params["client_id"]) == (f"{URL}/end", CLIENT_ID)
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_the_issuer_asks_who_signs_in_after_a_sign_out_until_somebody_does(
    world: World, provider: Provider
) -> None:
    async with world.client() as client:
        assert "prompt" not in (await leave(client)).params
        await signed_in(world, client)
        await client.post("/sign-out", headers=OWN)
        left = await leave(client)
        assert left.params["prompt"] == "select_account"
        assert (await arrive(client, provider, left)).headers["location"] == "/"
        assert "prompt" not in (await leave(client)).params


async def test_an_issuer_that_refuses_to_ask_so_is_asked_otherwise(world: World, provider: Provider) -> None:
    async with world.client() as client:
        await signed_in(world, client)
        await client.post("/sign-out", headers=OWN)
        left = await leave(client)
        seen = [left.params.get("prompt")]
        for _ in range(2):
            refusal = {"state": left.params["state"], "error": "invalid_request"}
            left = httpx.URL((await client.get(CALLBACK, params=refusal)).headers["location"])
            seen.append(left.params.get("prompt"))
        assert seen == ["select_account", "login", None]
        assert (await arrive(client, provider, left)).headers["location"] == "/"
        assert (await client.get("/api/v1/me")).status_code == 200


async def test_a_refused_sign_in_is_in_the_operators_audit_with_its_reason(
    world: World, provider: Provider
) -> None:
    provider.claims = {"email_verified": "false"}
    async with world.client() as client:
        answer = await arrive(client, provider, await leave(client))
        assert "failed=refused" in answer.headers["location"]
    async with world.client(PLATFORM_TOKEN) as platform:
        (entry,) = (await platform.get("/api/v1/audit")).json()["items"]
    assert (entry["action"], entry["actor"]) == ("sign_in.refused", "unknown")
    assert entry["details"]["way"] == "oidc"
    assert "no verified email address" in entry["details"]["reason"]


class SilentIssuer(httpx.AsyncBaseTransport):
    """Takes a request and says nothing. `asked`: whether a request came."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError(request.url)


async def test_a_sign_out_ends_the_session_before_a_silent_issuer_is_asked(
    world: World, provider: Provider
) -> None:
    silent = SilentIssuer()
    oidc = OidcSignIn(
        OidcClient(URL, CLIENT_ID, None, "https://portal.test"),
        transport=lambda: silent,
        keys_at=lambda _: provider.issuer,
    )
    world.context = replace(world.context, oidc=oidc)
    async with world.client() as client, asyncio.TaskGroup() as group:
        await signed_in(world, client)
        signing_out = group.create_task(client.post("/sign-out", headers=OWN))
        async with asyncio.timeout(SIGN_OUT_SECONDS / 2):
            await silent.asked.wait()
            assert (await client.get("/api/v1/me")).status_code == 401
        async with asyncio.timeout(2 * SIGN_OUT_SECONDS):
            assert (await signing_out).status_code == 204
