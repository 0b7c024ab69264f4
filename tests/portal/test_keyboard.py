"""The Portal without mouse or screen: where Tab leads, the effect of keys, the focus, the words told."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
TITLES = {"openai": "OpenAI", "anthropic": "Anthropic / Claude Code"}
STOPS = (
    "Replace the key of {}", "Custom Endpoint", "Reset to default: the endpoint of {}", "{} enabled",
    "Test {}", "Save {}", "Copy the base URL of {}", "Use it in a box", "Danger zone",
)  # fmt: skip
NAME = """(() => {
    const one = document.activeElement;
    if (one === document.body) return "";
    return (one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent).trim();
})()"""


# What a screen reader is given to say: each text that a live region takes on.
LISTEN = """window.told = [];
new MutationObserver((changes) => {
    const regions = changes.map(({target}) => (target.nodeType === 1 ? target : target.parentElement)
        .closest("[role=status], [role=alert], [aria-live]"));
    for (const region of new Set(regions)) if (region?.textContent) window.told.push(region.textContent);
}).observe(document.body, {subtree: true, childList: true, characterData: true});"""


async def tab(page: Page, times: int = 1) -> list[str]:
    """Press Tab; give the names of the elements with the focus, "" for nothing on the page."""
    names = []
    for _ in range(times):
        await page.keyboard.press("Tab")
        names.append(str(await page.evaluate(NAME)))
    return names


async def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        if await tab(page) == [name]:
            return
    raise AssertionError(f"Tab leads nowhere to {name}")


async def open_dialog(page: Page) -> Locator:
    await tab_to(page, "Danger zone")
    await page.keyboard.press("Enter")
    assert await tab(page) == ["Clear OpenAI …"]
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("textbox")).to_be_focused()
    return dialog


async def test_tab_leads_through_both_cards_in_reading_order(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    for provider in TITLES:
        await portal.set_up(provider)
    page = (await open_page()).page
    wanted = [stop.format(title) for title in TITLES.values() for stop in STOPS]
    await page.get_by_role("link", name="History").focus()
    assert await tab(page, len(wanted)) == wanted


@pytest.mark.parametrize("provider", TITLES)
async def test_a_key_is_replaced_by_keys_alone_and_the_focus_stays_on_the_card(
    provider: str, portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up(provider)
    page = await open_page()
    keyboard, card, title = page.page.keyboard, page.card(provider), TITLES[provider]
    replace = card.get_by_role("button", name="Replace the key")
    await tab_to(page.page, f"Replace the key of {title}")
    await keyboard.press("Space")
    await expect(card.get_by_label("Upstream API Key")).to_be_focused()
    assert await tab(page.page) == [f"Keep saved key of {title}"]
    await keyboard.press("Enter")
    await expect(replace).to_be_focused()
    await keyboard.press("Enter")
    await keyboard.insert_text(portal.keys[provider])
    names = [f"Show the key of {title}", f"Keep saved key of {title}", "Test this key when it is saved"]
    assert await tab(page.page, 3) == names
    await keyboard.press("Shift+Tab")
    await keyboard.press("Shift+Tab")
    await keyboard.press("Shift+Tab")
    await keyboard.press("Enter")
    await expect(card.locator(".told")).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
    await expect(replace).to_be_focused()


async def test_a_switch_is_turned_and_saved_or_discarded_by_keys_alone(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    keyboard, card = page.page.keyboard, page.card("openai")
    await tab_to(page.page, "OpenAI enabled")
    await keyboard.press("Space")
    await tab_to(page.page, "Discard changes to OpenAI")
    await keyboard.press("Enter")
    await expect(card.get_by_role("button", name="Replace the key")).to_be_focused()
    await expect(card.get_by_role("switch")).to_be_checked()
    await card.get_by_role("switch").focus()
    await keyboard.press("Space")
    await tab_to(page.page, "Save OpenAI")
    await keyboard.press("Space")
    await expect(card.locator(".chip")).to_have_text("Off")
    await expect(card.get_by_role("button", name="Save OpenAI")).to_be_focused()


async def test_a_test_leaves_the_focus_where_it_was(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page()
    await tab_to(page.page, "Test OpenAI")
    await page.page.keyboard.press("Enter")
    await expect(page.card("openai").locator(".verdict")).to_have_text("The saved key works.")
    await expect(page.card("openai").get_by_role("button", name="Test OpenAI")).to_be_focused()


async def test_the_dialog_keeps_the_focus_and_gives_it_back(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = (await open_page()).page
    dialog = await open_dialog(page)
    # Nothing on the page is the browser's own bar.
    inside = [f"To confirm, type {portal.org}", "Keep it", "Clear OpenAI", ""]
    assert await tab(page, 8) == [*inside[1:], *inside, inside[0]]
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Clear OpenAI …")).to_be_focused()


async def test_the_dialog_tells_why_it_does_not_clear(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = (await open_page()).page
    dialog = await open_dialog(page)
    await page.keyboard.insert_text("another")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_have_text(f"This is not {portal.org}.")
    await expect(dialog.get_by_role("textbox")).to_be_focused()
    await page.keyboard.press("Backspace")
    await expect(dialog.get_by_role("alert")).to_have_text("")


async def test_the_dialog_stays_while_it_clears_and_then_leads_to_the_key(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    asked, released = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "DELETE":
            asked.set()
            await released.wait()
        await route.continue_()

    await page.page.route("**/ai-integrations/openai", hold)
    dialog = await open_dialog(page.page)
    await page.page.keyboard.insert_text(portal.org)
    await page.page.keyboard.press("Enter")
    await asyncio.wait_for(asked.wait(), 10)
    await page.page.keyboard.press("Escape")
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(dialog).to_be_visible()
    released.set()
    await expect(dialog).to_be_hidden()
    await expect(page.card("openai").get_by_label("Upstream API Key")).to_be_focused()


async def test_what_happens_is_told_once_and_politely(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page()
    card = page.card("openai")
    await expect(card.locator(".told")).to_have_text("Live on 1 of 1")
    await page.page.evaluate(LISTEN)
    for locator, keys, words in (
        (card.get_by_role("switch"), " ", r"^When you save, .* are refused"),
        (card.get_by_role("button", name="Save OpenAI"), " ", r"^Saved\. Live on 1 of 1"),
        (card.get_by_role("button", name="Test OpenAI"), " ", r"^The saved key works\."),
        (card.get_by_label("Custom Endpoint"), "gateway", r"^The endpoint changes, so the key"),
        (card.get_by_role("button", name="Copy the base URL"), "", r"^Begin with https://\.$"),
        (card.get_by_role("button", name="Discard"), " ", r"^Changes discarded\."),
    ):
        await locator.focus()
        if keys == " ":
            await page.page.keyboard.press("Space")
        elif keys:
            await locator.fill(keys)
        assert len(await heard(page.page, words)) == 1, words


async def heard(page: Page, words: str) -> list[str]:
    """Wait until words like these are told; give every telling of them."""
    for _ in range(200):
        if found := [text for text in await page.evaluate("window.told") if re.search(words, text)]:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"never told: {words}; but {await page.evaluate('window.told')}")
