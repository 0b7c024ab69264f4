"""A page is current: other windows and other people change what it shows, and typed text stays."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from aigw.embedded.banner import MEMBER, OWNER
from tests.portal.card_parts import ANOTHER_KEY, replace_key, save_of, told
from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]


async def test_a_clean_card_follows_another_window(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    one, other = await open_page(), await open_page()
    await expect(told(other.card("openai"))).to_have_text("Live on 1 of 1")
    await one.card("openai").get_by_role("switch").click()
    await save_of(one.card("openai")).click()
    await expect(other.card("openai").locator(".chip")).to_have_text("Off", timeout=9000)
    await expect(other.card("openai").get_by_role("switch")).not_to_be_checked()
    await expect(told(other.card("openai"))).to_contain_text("Changed by you in another window")


async def test_a_key_typed_here_does_not_switch_on_what_another_window_switched_off(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    one, other = await open_page(), await open_page()
    card = other.card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await replace_key(card)
    await other.stop_asking()
    await one.card("openai").get_by_role("switch").click()
    await save_of(one.card("openai")).click()
    await expect(one.card("openai").locator(".chip")).to_have_text("Off")
    await save_of(card).click()
    await expect(card.get_by_role("alert")).to_contain_text("Changed in another window.")
    await expect(card.get_by_role("switch")).not_to_be_checked()
    await card.get_by_role("button", name="Overwrite with mine").click()
    await expect(card.locator(".saved-key")).to_contain_text(ANOTHER_KEY[-4:])
    state = await portal.state("openai")
    assert (state["state"], state["key"]["last4"]) == ("disabled", ANOTHER_KEY[-4:])


async def test_a_card_with_something_typed_is_told_who_changed_what(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    card = page.card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await replace_key(card)
    await (await portal.second_owner()).switch(portal.org, "openai", enabled=False)
    await expect(card.get_by_role("alert")).to_contain_text(f"Changed by {MEMBER} just now.", timeout=9000)
    await expect(card.get_by_role("alert")).to_contain_text("switched it off")
    await expect(card.get_by_label("Upstream API Key")).to_have_value(ANOTHER_KEY)
    await save_of(card).click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. "))
    state = await portal.state("openai")
    assert (state["state"], state["key"]["last4"]) == ("disabled", ANOTHER_KEY[-4:])


async def test_a_change_that_left_nothing_different_does_not_stop_a_save(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    card = page.card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await page.stop_asking()
    for enabled in (False, True):
        await portal.control_plane.switch(portal.org, "openai", enabled=enabled)
    await replace_key(card)
    await save_of(card).click()
    await expect(card.locator(".saved-key")).to_contain_text(ANOTHER_KEY[-4:])
    await expect(card.get_by_role("alert")).to_have_text("")


async def test_two_windows_that_switch_off_agree(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    one, other = await open_page(), await open_page()
    for page in (one, other):
        await expect(told(page.card("openai"))).to_have_text("Live on 1 of 1")
        await page.stop_asking()
        await page.card("openai").get_by_role("switch").click()
    await save_of(one.card("openai")).click()
    await expect(one.card("openai").locator(".chip")).to_have_text("Off")
    await save_of(other.card("openai")).click()
    await expect(other.card("openai").locator(".chip")).to_have_text("Off")
    await expect(other.card("openai").get_by_role("alert")).to_have_text("")


async def test_a_card_that_another_owner_clears_keeps_what_is_typed(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    card = page.card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await replace_key(card)
    await (await portal.second_owner()).clear(portal.org, "openai")
    await expect(card.locator(".chip")).to_have_text("Not set up", timeout=9000)
    await expect(card.get_by_label("Upstream API Key")).to_have_value(ANOTHER_KEY)
    await expect(card.get_by_role("alert")).to_contain_text("cleared it")


async def test_a_members_page_follows_the_owners_changes(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    card = (await open_page(person=MEMBER)).card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await portal.control_plane.switch(portal.org, "openai", enabled=False)
    await expect(card.locator(".chip")).to_have_text("Off", timeout=9000)
    await expect(card).to_contain_text(f"Changed by {OWNER}")


async def test_a_page_that_was_put_aside_is_current_at_once_when_it_is_back(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    await expect(told(page.card("openai"))).to_have_text("Live on 1 of 1")
    await page.page.goto(portal.url("members"))
    await portal.control_plane.switch(portal.org, "openai", enabled=False)
    await page.page.go_back()
    await expect(page.card("openai").locator(".chip")).to_have_text("Off")


async def test_the_list_of_members_follows_the_platform(portal: PortalWorld, open_page: OpenPage) -> None:
    page = await open_page("members", person=MEMBER)
    rows = page.page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await portal.put_member("new@acme.example", "owner")
    await expect(rows).to_have_count(3, timeout=9000)
    await expect(page.page.get_by_role("status")).to_contain_text("This list has changed at")
    await portal.remove_member(MEMBER)
    await expect(page.page.get_by_text("no longer yours to see")).to_be_visible(timeout=9000)


async def test_history_shows_what_happens_meanwhile_on_top(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page("history")
    first = page.page.locator("tbody tr th").first
    await expect(first).to_contain_text("Set the key and endpoint of OpenAI")
    before = await page.page.locator("tbody tr").count()
    await portal.control_plane.switch(portal.org, "openai", enabled=False)
    await expect(first).to_have_text("Switched OpenAI off", timeout=9000)
    await expect(page.page.locator("tbody tr")).to_have_count(before + 1)
    await expect(page.page.get_by_role("status")).to_contain_text("1 change came at")
    await page.page.get_by_label("What").select_option("anthropic")
    await expect(page.page.get_by_role("status")).to_have_text("No change matches.")
    await portal.set_up("anthropic")
    await expect(first).to_contain_text("Set the key and endpoint of Anthropic", timeout=9000)
    await expect(page.page.locator("tbody tr")).to_have_count(1)


async def test_my_orgs_follows_new_organizations_and_switches(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page("/")
    mine = page.page.get_by_role("listitem").filter(has_text=portal.org)
    await expect(mine).to_contain_text("0 of 2 on")
    await mine.get_by_role("link", name="Settings").focus()
    other = await portal.control_plane.new_org()
    await expect(page.page.get_by_role("listitem").filter(has_text=other)).to_be_visible(timeout=9000)
    await expect(mine.get_by_role("link", name="Settings")).to_be_focused()
    await portal.set_up("openai")
    await expect(mine).to_contain_text("1 of 2 on", timeout=9000)


async def test_a_page_follows_the_persons_own_role(portal: PortalWorld, open_page: OpenPage) -> None:
    page = await open_page(person=MEMBER)
    await expect(page.page.get_by_text("You can look, not change.")).to_be_visible()
    await portal.put_member(MEMBER, "owner")
    key = page.card("openai").get_by_label("Upstream API Key")
    await key.fill(ANOTHER_KEY, timeout=12_000)
    await portal.put_member(MEMBER, "member")
    await expect(page.page.get_by_text("You are no longer an owner")).to_be_visible(timeout=9000)
    await expect(key).to_have_value(ANOTHER_KEY)


@pytest.mark.parametrize("path", ["/", "ai-integrations", "members", "history"])
async def test_a_page_asks_no_more_once_the_session_has_ended(
    path: str, portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page(path)
    await page.page.context.clear_cookies()
    await expect(page.page.get_by_text("Your session has ended.")).to_be_visible(timeout=12_000)
    await page.settled()
    asked: asyncio.Queue[str] = asyncio.Queue()
    page.page.on("request", lambda request: asked.put_nowait(request.url))
    await asyncio.sleep(6)
    assert asked.empty()
    await portal.sign_in(page.page.context, OWNER)
    await page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.page.get_by_text("Your session has ended.")).to_be_hidden()
    async with asyncio.timeout(12):
        for _ in range(2):  # who is signed in, and then the page's own news
            await asked.get()
