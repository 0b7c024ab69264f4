"""A newcomer's path, from the printed link to a switched-off provider, in one go and with a real SDK."""

from __future__ import annotations

import re

import openai
import pytest
from playwright.async_api import expect

from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]


def sdk_in_box(portal: PortalWorld) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="run9-placeholder",
        base_url=portal.gateway.ready["base_urls"]["openai"],
        default_headers={"X-Run9-Box-Token": portal.gateway.box_token(portal.org)},
    )


async def test_a_newcomer_sets_a_provider_up_uses_it_and_switches_it_off(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page("/")
    row = page.page.get_by_role("listitem").filter(has_text=portal.org)
    await expect(row).to_contain_text("Owner")
    await expect(row).to_contain_text("0 of 2 on")
    await row.get_by_role("link", name="Settings").click()

    card = page.card("openai")
    await expect(card.locator(".chip")).to_have_text("Not set up")
    await expect(card.get_by_role("link", name="Make one at OpenAI")).to_be_visible()
    save = card.get_by_role("button", name="Save OpenAI")
    await expect(save).to_be_disabled()
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["openai"])
    await expect(card).to_contain_text(f"Requests go to {portal.endpoints['openai']}/responses")
    switch = card.get_by_role("switch", name="OpenAI enabled")
    await switch.click()
    await card.get_by_label("Upstream API Key").fill(f"  {portal.keys['openai']} \n")

    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(card.locator(".verdict")).to_have_text("The key works.")
    await expect(card.locator(".steps li")).to_have_count(4)

    await save.click()
    await expect(card.locator(".told")).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
    await expect(card.locator(".saved-key")).to_contain_text(f"…{portal.keys['openai'][-4:]}")
    await page.settled()
    assert await page.keys_left() == []

    async with sdk_in_box(portal) as client:
        stream = await client.chat.completions.create(
            model="gpt-5.2", stream=True, messages=[{"role": "user", "content": "say ping"}]
        )
        chunks = [chunk async for chunk in stream]
        assert len(chunks) > 10
        await expect(card.locator(".chip")).to_have_text("On, verified")
        await page.page.reload()
        await expect(card.locator(".chip")).to_have_text("On", timeout=10_000)

        await switch.click()
        await expect(card).to_contain_text("running answers are cut within seconds")
        await save.click()
        await expect(card.locator(".told")).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
        await expect(card.locator(".chip")).to_have_text("Off")
        with pytest.raises(openai.BadRequestError, match="switched off for this box's organization"):
            await client.models.list()

    await page.page.get_by_role("link", name="History").click()
    table = page.page.get_by_role("table")
    await expect(table).to_contain_text("Switched OpenAI off")
    await expect(table).to_contain_text("Set the key and endpoint of OpenAI, switched on")
    await expect(table).to_contain_text(f"key ends …{portal.keys['openai'][-4:]}")
    assert await page.keys_left() == []
