"""Takes the pictures in docs/images: `python -m tests.portal.pictures`, after `make test-tools`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final, Literal

import httpx
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from aigw.embedded.banner import OWNER
from tests.portal.chromium import ARGUMENTS, chromium_path
from tests.portal.world import PortalWorld
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway

IMAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDE: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 360, "height": 780}


async def pictures() -> None:
    """Set a gateway up, use it a little, and take every picture."""
    with tempfile.TemporaryDirectory() as folder, Gateway(Path(folder)) as gateway:
        async with ControlPlane.of(gateway) as control_plane, async_playwright() as playwright:
            portal = await PortalWorld.make(gateway, control_plane, "robotics")
            async with httpx.AsyncClient(trust_env=False) as box:
                for _ in range(2):
                    await box.get(f"{gateway.ready['base_urls']['openai']}models")
            browser = await playwright.chromium.launch(executable_path=str(chromium_path()), args=ARGUMENTS)
            await _take_all(browser, portal)
            await browser.close()


async def _take_all(browser: Browser, portal: PortalWorld) -> None:
    demo = "/orgs/demo/ai-integrations"
    await asyncio.sleep(3)  # until the fleet has told what traffic showed
    await _take(await _open(browser, portal, demo, "light", WIDE), "integrations")
    phone = await _open(browser, portal, demo, "dark", PHONE)
    await _take(phone, "integrations-phone")
    await _take(await _open(browser, portal, "/", "light", WIDE), "orgs")
    page = await _open(browser, portal, None, "dark", WIDE)
    card = page.locator("section[data-provider=openai]")
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["openai"])
    await card.get_by_role("button", name="Test OpenAI").click()
    await card.locator(".verdict").wait_for()
    await page.set_viewport_size({"width": 1280, "height": 960})
    await _take(page, "test")
    await card.get_by_role("button", name="Save OpenAI").click()
    await card.get_by_text("Live on 1 of 1").wait_for()
    await portal.control_plane.switch(portal.org, "openai", enabled=False)
    await _take(await _open(browser, portal, "history", "light", WIDE), "history")


async def _open(
    browser: Browser,
    portal: PortalWorld,
    path: str | None,
    theme: Literal["light", "dark"],
    viewport: ViewportSize,
) -> Page:
    context = await browser.new_context(viewport=viewport, color_scheme=theme)
    await portal.sign_in(context, OWNER)
    page = await context.new_page()
    await page.goto(portal.url(path))
    await page.wait_for_selector("body[data-ready]")
    return page


async def _take(page: Page, name: str) -> None:
    await page.wait_for_timeout(500)
    IMAGES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=IMAGES / f"portal-{name}.png")


if __name__ == "__main__":
    asyncio.run(pictures())
