"""A real browser on a real gateway: one Chromium per worker, an org per test, and watched pages."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from aigw.embedded.banner import MEMBER, OWNER
from tests.portal.chromium import ARGUMENTS, chromium_path
from tests.portal.watched_page import WatchedPage
from tests.portal.world import PortalWorld
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway

OpenPage = Callable[..., Awaitable[WatchedPage]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The Chromium that is installed."""
    path = str(chromium_path())
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def portal(header_gateway: Gateway) -> AsyncIterator[PortalWorld]:
    """A new org on the gateway, with an owner and a member, nothing set up."""
    async with ControlPlane.of(header_gateway) as control_plane:
        yield await PortalWorld.make(header_gateway, control_plane, secrets.token_hex(4))


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, portal: PortalWorld) -> AsyncIterator[OpenPage]:
    """Open pages as a signed-in person; whatever they did wrong fails the test at its end."""
    async with AsyncExitStack() as opened:

        async def open_one(path: str | None = None, *, person: str = OWNER, width: int = 1280) -> WatchedPage:
            assert person in {OWNER, MEMBER, ""}
            context = await browser.new_context(viewport={"width": width, "height": 900})
            opened.push_async_callback(context.close)
            if person:
                await portal.sign_in(context, person)
            page = WatchedPage(await context.new_page(), portal.canaries)
            opened.push_async_callback(page.check)
            await page.goto(portal.url(path))
            return page

        yield open_one
