"""The path that people are told, word by word; the first minute after Save: key test, first request."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, expect

from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
LABELS = ("Upstream API Key", "Custom Endpoint", "Enabled", "Save", "Local Base URL")


async def above(locators: list[Locator]) -> list[float]:
    boxes = [await locator.bounding_box() for locator in locators]
    return [box["y"] for box in boxes if box is not None]


async def test_the_path_that_people_are_told_is_the_path_on_the_screen(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page("/")
    await expect(page.page.get_by_role("heading", name="My Orgs")).to_be_visible()
    await page.page.get_by_role("link", name=f"Settings of {portal.name}").click()
    sidebar = page.page.get_by_role("navigation", name="Org Settings")
    await expect(sidebar.get_by_text("Org Settings", exact=True)).to_be_visible()
    await sidebar.get_by_role("link", name="AI Integrations", exact=True).click()
    for title in ("OpenAI", "Anthropic / Claude Code"):
        await expect(page.page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    card = page.card("openai")
    labels = [card.get_by_text(label, exact=True).first for label in LABELS]
    places = await above(labels)
    assert len(places) == len(LABELS), "each word is visible"
    assert places == sorted(places), "in this order"
    await expect(card.locator(".chip")).to_have_text("Not set up")
    await expect(card.get_by_role("switch")).not_to_be_checked()
    await expect(card).to_contain_text("Leave empty to use api.openai.com")
    await card.get_by_label("Upstream API Key").fill("sk-proj-AbCd0123efgh4567")
    await card.get_by_role("switch", name="OpenAI enabled").click()
    await card.get_by_label("Test this key").uncheck()  # no test of the project calls a provider
    await card.get_by_role("button", name="Save OpenAI").click()
    await expect(card.locator(".told")).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
    state = await portal.state("openai")
    assert (state["state"], state["endpoint"]) == ("enabled", "https://api.openai.com/v1")
    await expect(card.locator(".base-url")).to_have_text(state["local_base_url"])


async def test_saving_tests_the_key_and_waits_for_the_first_request(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    card = (await open_page()).card("openai")
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["openai"])
    await card.get_by_role("switch").click()
    await card.get_by_role("button", name="Save OpenAI").click()
    await expect(card.locator(".verdict")).to_have_text("The saved key works.", timeout=10_000)
    await expect(card.locator(".chip")).to_have_text("On, verified")
    waiting = card.get_by_text("Waiting for the first request …")
    await expect(waiting).to_be_visible()
    head = {"X-Run9-Box-Token": portal.gateway.box_token(portal.org)}
    base_url = portal.gateway.ready["base_urls"]["openai"]
    (await portal.control_plane.client.get(f"{base_url}models", headers=head)).raise_for_status()
    first = card.get_by_text(re.compile(r"^First request accepted (just now|\d+ s ago)"))
    await expect(first).to_be_visible(timeout=15_000)
    await expect(card.locator(".chip")).to_have_text("On")


async def test_a_saved_key_is_neutral_until_somebody_accepted_it(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    card = (await open_page()).card("openai")
    await expect(card.locator(".chip")).to_have_text("On, unverified")
    await expect(card.locator(".chip")).to_have_attribute("data-tone", "quiet")


async def test_a_real_key_that_would_go_to_the_demo_provider_is_warned_of_and_can_be_turned_back(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    card = (await open_page()).card("openai")
    host = portal.endpoints["openai"].removeprefix("http://").removesuffix("/v1")
    await expect(card).to_contain_text("This is the demo provider")
    await card.get_by_role("button", name="Replace the key").click()
    await card.get_by_label("Upstream API Key").fill("sk-proj-AbCd0123efgh4567")
    await expect(card).to_contain_text(f"it would be sent to {host} instead")
    await card.get_by_label("Test this key").uncheck()
    await card.get_by_role("button", name="Save OpenAI").click()
    await expect(card.locator(".told")).to_contain_text("Saved. ")
    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(card.locator(".verdict")).to_contain_text(
        f"The demo provider ({host}) refuses the saved key."
    )
    await card.get_by_role("button", name="Reset to default").click()
    await expect(card.get_by_label("Custom Endpoint")).to_have_value("")
    await expect(card).to_contain_text("the key is needed again")


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (
            'export OPENAI_API_KEY="sk-proj-AbCd0123efgh4567",',
            "the variable's name, a comma or semicolon, quotes",
        ),
        ("Authorization: Bearer sk-proj-AbCd0123efgh4567", "the header's name, Bearer"),
    ],
)
async def test_a_key_is_cleaned_as_it_is_pasted_and_the_field_says_so(
    pasted: str, said: str, open_page: OpenPage
) -> None:
    page = await open_page()
    key = page.card("openai").get_by_label("Upstream API Key")
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.page.evaluate("text => navigator.clipboard.writeText(text)", pasted)
    await key.focus()
    await page.page.keyboard.press("Control+V")
    await expect(key).to_have_value("sk-proj-AbCd0123efgh4567")
    await expect(page.card("openai")).to_contain_text(f"Left out of what was pasted: {said}.")


async def test_two_lines_pasted_are_not_made_one_key(open_page: OpenPage) -> None:
    page = await open_page()
    card = page.card("openai")
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.page.evaluate("text => navigator.clipboard.writeText(text)", "sk-proj-AbCd\nsk-ant-api03-0123")
    await card.get_by_label("Upstream API Key").focus()
    await page.page.keyboard.press("Control+V")
    await card.get_by_role("switch").click()
    await expect(card.get_by_role("button", name="Save OpenAI")).to_be_disabled()
    await expect(card).to_contain_text("no spaces, line breaks")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("sk-admin-0123456789abcdef", "admin key of OpenAI"),
        ("sk-or-v1-0123456789abcdef", "looks like a key of OpenRouter"),
        ("YOUR-KEY", "stand-in from a document"),
    ],
)
async def test_one_sentence_says_what_is_wrong_with_a_key_before_it_is_saved(
    typed: str, said: str, open_page: OpenPage
) -> None:
    card = (await open_page()).card("openai")
    await card.get_by_label("Upstream API Key").fill(typed)
    await card.get_by_label("Upstream API Key").blur()
    row = card.locator(".row").first
    await expect(row).to_contain_text(said)
    assert len([text for text in await row.locator(".fault, .hint").all_inner_texts() if text]) == 1
