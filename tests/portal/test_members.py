"""The page of members: an owner signs a person out everywhere, and reads what came of it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from aigw.embedded.banner import MEMBER, OWNER
from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]


async def test_an_owner_ends_the_sessions_of_a_member_whose_page_then_asks_to_sign_in(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    looking = await open_page(person=MEMBER)
    page = await open_page("members")
    await page.page.get_by_role("button", name=f"End sessions of {MEMBER}").click()
    dialog = page.page.get_by_role("dialog", name=f"End the sessions of {MEMBER}?")
    await expect(dialog.get_by_role("button", name="Leave them")).to_be_focused()
    assert await page.accessibility_faults() == []
    await dialog.get_by_role("button", name="End sessions").click()
    await expect(dialog).to_have_count(0)
    await expect(page.page.get_by_role("status")).to_contain_text(f"{MEMBER} was signed out of")
    await expect(looking.page.get_by_text("Your session has ended")).to_be_visible(timeout=9000)
    await page.goto(portal.url("history"))
    await expect(page.page.locator("tbody tr th").first).to_contain_text(MEMBER)


async def test_sessions_that_are_left_alone_go_on(open_page: OpenPage) -> None:
    page = await open_page("members")
    await page.page.get_by_role("button", name=f"End sessions of {MEMBER}").click()
    await page.page.get_by_role("dialog").get_by_role("button", name="Leave them").click()
    await expect(page.page.get_by_role("dialog")).to_have_count(0)
    await expect(page.page.get_by_role("status")).to_have_text("")
    await expect(page.page.get_by_role("button", name=f"End sessions of {MEMBER}")).to_be_focused()


async def test_an_owner_who_ends_their_own_sessions_is_told_so_before_and_signed_out(
    open_page: OpenPage,
) -> None:
    page = await open_page("members")
    await page.page.get_by_role("button", name=f"End sessions of {OWNER}").click()
    dialog = page.page.get_by_role("dialog", name="End your own sessions?")
    await expect(dialog).to_contain_text("this one too")
    await dialog.get_by_role("button", name="End sessions").click()
    await expect(page.page.get_by_text("Your session has ended")).to_be_visible(timeout=9000)


async def test_a_refused_end_is_told_in_the_dialog(portal: PortalWorld, open_page: OpenPage) -> None:
    page = await open_page("members")
    other = await portal.second_owner()
    assert other.owner_token
    await portal.put_member(OWNER, "member")
    await page.page.get_by_role("button", name=f"End sessions of {MEMBER}").click()
    dialog = page.page.get_by_role("dialog")
    await dialog.get_by_role("button", name="End sessions").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("owner")
    await expect(dialog.get_by_role("button", name="End sessions")).to_be_enabled()


async def test_a_member_is_offered_no_end_of_sessions(open_page: OpenPage) -> None:
    page = await open_page("members", person=MEMBER)
    await expect(page.page.locator("tbody tr")).to_have_count(2)
    await expect(page.page.get_by_role("button", name="End sessions")).to_have_count(0)
