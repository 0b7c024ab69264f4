"""Whose attempts to sign in are counted behind a proxy: the visitor's, as trusted proxies tell it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.control_plane.app import public_app
from services.control_plane.portal.attempt_limit import MAX_ATTEMPTS
from services.control_plane.sign_in.browser import BrowserSignIn
from shared.listener import bind, port_of, serve
from tests.unit.control_plane.world import OWNER, World

DEADLINE_SECONDS = 60
ORIGIN = "https://portal.test"
OWN = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
GUESS = {"token": "a-guess"}
ATTACKER, COLLEAGUE = "203.0.113.66", "203.0.113.7"


Visit = tuple[httpx.AsyncClient, BrowserSignIn]


@asynccontextmanager
async def portal(folder: Path, trusted: Sequence[str]) -> AsyncIterator[Visit]:
    """A Portal on a real listener, asked from 127.0.0.1 as by a proxy on this machine."""
    world = World(folder)
    browser = BrowserSignIn(world.database, world.clock, ORIGIN)
    listener = bind("127.0.0.1", 0, option="--port")
    stop, started = asyncio.Event(), asyncio.Event()
    app = public_app(replace(world.context, browser=browser))
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(
            serve(app, listener, stop=stop, started=started.set, grace_seconds=1, trusted_proxies=trusted)
        )
        await started.wait()
        url = f"http://127.0.0.1:{port_of(listener)}"
        async with httpx.AsyncClient(base_url=url, headers=OWN, trust_env=False) as client:
            yield client, browser
        stop.set()
    world.close()


async def guess(client: httpx.AsyncClient, forwarded_for: str) -> int:
    head = {"x-forwarded-for": forwarded_for}
    return (await client.post("/sign-in/link", json=GUESS, headers=head)).status_code


@pytest.mark.parametrize("trusted", [("127.0.0.1",), ("127.0.0.0/8", "10.20.0.0/16")])
async def test_one_visitors_guesses_lock_no_other_out(tmp_path: Path, trusted: tuple[str, ...]) -> None:
    async with portal(tmp_path, trusted) as (client, browser):
        for number in range(MAX_ATTEMPTS):  # whatever the visitor claims stands before what the proxy adds
            assert await guess(client, f"198.51.100.{number}, {ATTACKER}") == 401
        assert await guess(client, f"{COLLEAGUE}, {ATTACKER}") == 429
        token = browser.new_link_token(OWNER)
        head = {"x-forwarded-for": COLLEAGUE}
        answer = await client.post("/sign-in/link", json={"token": token}, headers=head)
        assert answer.status_code == 204


async def test_the_address_before_every_trusted_proxy_counts(tmp_path: Path) -> None:
    async with portal(tmp_path, ("127.0.0.1", "10.20.0.0/16")) as (client, _):
        for _ in range(MAX_ATTEMPTS):
            assert await guess(client, f"{ATTACKER}, 10.20.3.4") == 401
        assert await guess(client, ATTACKER) == 429
        assert await guess(client, f"{COLLEAGUE}, 10.20.3.4") == 401


@pytest.mark.parametrize("trusted", [(), ("10.20.0.0/16",)])
async def test_nobody_else_can_tell_an_address(tmp_path: Path, trusted: tuple[str, ...]) -> None:
    async with portal(tmp_path, trusted) as (client, _):
        for number in range(MAX_ATTEMPTS):
            assert await guess(client, f"198.51.100.{number}") == 401
        assert await guess(client, "198.51.100.250") == 429
