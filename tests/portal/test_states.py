"""Every state of every page, in both themes and three widths: usable by everybody, nothing cut off."""

from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from aigw.embedded.banner import MEMBER
from services.data_plane.key_test.stored_keys import MAX_TRIALS_PER_ORG
from tests.portal.conftest import OpenPage
from tests.portal.watched_page import WIDTHS, WatchedPage
from tests.portal.world import PortalWorld
from tests.support.answers import json_answer
from tests.support.scripted_upstream import Close, ScriptedUpstream, WaitFor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
MORE_WIDTHS: Final = (360, 560, 1024, 1440)
State = Callable[[PortalWorld, OpenPage], Awaitable[WatchedPage]]


async def my_orgs(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai")
    page = await open_page("/")
    await expect(page.page.get_by_text("1 of 2 on").first).to_be_visible()
    return page


async def nothing_set_up(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page()
    await expect(page.page.get_by_text("How this works.")).to_be_visible()
    return page


async def both_on(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai")
    await portal.set_up("anthropic")
    page = await open_page()
    await expect(page.card("anthropic").locator(".told")).to_have_text("Live on 1 of 1")
    return page


async def off(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai", enabled=False)
    page = await open_page()
    await expect(page.card("openai").locator(".chip")).to_have_text("Off")
    return page


async def about_to_switch_off(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.card("openai").get_by_role("switch").click()
    await expect(page.card("openai")).to_contain_text("The key stays saved")
    return page


async def snippets_shown(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    for provider in ("openai", "anthropic"):
        await page.card(provider).get_by_text("Use it in a box").click()
        await page.card(provider).get_by_role("tab", name="Python").click()
        await page.card(provider).get_by_text("Danger zone").click()
    return page


async def a_key_of_the_other_provider(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page()
    await page.card("openai").get_by_label("Upstream API Key").fill("sk-ant-api03-of-somebody")
    await expect(page.card("openai")).to_contain_text("looks like a key of Anthropic, but it is for OpenAI")
    return page


async def faults_in_both_fields(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page()
    card = page.card("anthropic")
    await card.get_by_label("Upstream API Key").fill("short")
    await card.get_by_label("Custom Endpoint").fill("https://me@gateway.example/v1?x")
    await card.get_by_label("Custom Endpoint").blur()
    await expect(card.locator(".fault").first).to_contain_text("at least 8 characters")
    await expect(card).to_contain_text("Leave user name and password out")
    return page


async def a_new_endpoint_needs_the_key(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.card("openai").get_by_label("Custom Endpoint").fill("https://gateway.example/v1")
    await expect(page.card("openai")).to_contain_text("the key is needed again")
    return page


async def a_refused_key(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page()
    card = page.card("openai")
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["openai"])
    await card.get_by_label("Upstream API Key").fill("sk-of-nobody-0123456789")
    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(card.locator(".verdict")).to_contain_text("refuses this key")
    return page


async def with_saved_key_tried(portal: PortalWorld, open_page: OpenPage, words: str) -> WatchedPage:
    """Test the saved key, and wait for what is said of it."""
    page = await open_page()
    card = page.card("openai")
    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(card.locator(".verdict")).to_contain_text(words)
    last4 = (await portal.state("openai"))["key"]["last4"]
    await expect(card.locator(".key-test")).to_contain_text(f"Tried the saved key, which ends …{last4}, at ")
    return page


async def a_saved_key_that_works(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai")
    return await with_saved_key_tried(portal, open_page, "The saved key works.")


async def a_saved_key_that_is_refused(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai", key="sk-demo-of-nobody-0123456789")
    return await with_saved_key_tried(portal, open_page, "refuses the saved key")


async def a_saved_key_whose_provider_is_down(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    async with ScriptedUpstream(respond=lambda _: json_answer({}, status="500 Oops")) as upstream:
        await portal.set_up("openai", endpoint=f"{upstream.origin}/v1")
        return await with_saved_key_tried(portal, open_page, "says nothing about the key")


async def a_saved_key_that_cannot_be_tested_now(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    released = asyncio.Event()
    async with (
        ScriptedUpstream(respond=lambda _: (WaitFor(released), Close())) as upstream,
        TaskGroup() as group,
    ):
        await portal.set_up("openai", endpoint=f"{upstream.origin}/v1")
        for _ in range(MAX_TRIALS_PER_ORG):
            group.create_task(portal.test("openai"))
        await upstream.wait_for(lambda: len(upstream.requests) == MAX_TRIALS_PER_ORG)
        page = await open_page()
        await page.card("openai").get_by_role("button", name="Test OpenAI").click()
        await expect(page.card("openai")).to_contain_text(
            "Not tested. Key tests of your organization are still running"
        )
        released.set()
    return page


async def _save_a_key(portal: PortalWorld, card: Locator) -> None:
    await card.get_by_role("button", name="Replace the key").click()
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await card.get_by_role("button", name="Save OpenAI").click()


async def changed_in_another_window(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.stop_asking()
    await portal.set_up("openai", enabled=False)
    card = page.card("openai")
    await _save_a_key(portal, card)
    await expect(card).to_contain_text("Changed in another window. You")
    return page


async def somebody_was_faster(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.stop_asking()
    await (await portal.second_owner()).switch(portal.org, "openai", enabled=False)
    card = page.card("openai")
    await _save_a_key(portal, card)
    await expect(card).to_contain_text(
        f"Somebody was faster. {MEMBER} switched it off just now. Nothing of yours was saved."
    )
    return page


async def asked_to_clear(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.card("openai").get_by_text("Danger zone").click()
    await page.card("openai").get_by_role("button", name="Clear OpenAI …").click()
    await expect(page.page.get_by_role("dialog")).to_be_visible()
    return page


async def a_member_looks(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai")
    page = await open_page(person=MEMBER)
    await expect(page.page.get_by_text("You can look, not change.")).to_be_visible()
    return page


async def members(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    return await open_page("members")


async def asked_to_end_sessions(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page("members")
    await page.page.get_by_role("button", name=f"End sessions of {MEMBER}").click()
    await expect(page.page.get_by_role("dialog")).to_be_visible()
    return page


async def history(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    await portal.set_up("openai")
    return await open_page("history")


async def not_my_org(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page("/orgs/nobodys/ai-integrations")
    await expect(page.page.get_by_text("There is nothing here")).to_be_visible()
    return page


async def signed_out(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page(person="")
    await expect(page.page.get_by_role("heading", name="Sign in")).to_be_visible()
    return page


async def a_used_link(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page("/sign-in#never-made", person="")
    await expect(page.page.get_by_role("alert")).to_contain_text("used already, or is too old")
    return page


async def the_session_has_ended(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.page.context.clear_cookies()
    await page.card("openai").get_by_role("switch").click()
    await page.card("openai").get_by_role("button", name="Save OpenAI").click()
    await expect(page.page.get_by_text("Your session has ended.")).to_be_visible()
    return page


async def nobody_knows_whether_it_was_saved(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.page.route("**/ai-integrations/openai", lambda route: route.abort())
    await page.card("openai").get_by_role("switch").click()
    await page.card("openai").get_by_role("button", name="Save OpenAI").click()
    await expect(page.card("openai").get_by_role("alert")).to_contain_text("It is not known whether")
    await expect(page.card("openai").get_by_role("button", name="Save OpenAI")).to_have_text("Checking …")
    return page


async def outlines(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await open_page("/")
    await page.hold("**/api/v1/**")
    await page.page.goto(portal.url())
    await expect(page.page.get_by_text("Loading …")).to_be_attached()
    return page


async def no_answer_from_the_gateway(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.stop_asking()
    await expect(page.page.get_by_text("The gateway does not answer.")).to_be_visible(timeout=25_000)
    return page


async def changed_by_somebody(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    card = page.card("openai")
    await card.get_by_role("button", name="Replace the key").click()
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await (await portal.second_owner()).switch(portal.org, "openai", enabled=False)
    await expect(card.get_by_role("alert")).to_contain_text("Changed by", timeout=9000)
    return page


async def waiting_for_the_first_request(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await both_on(portal, open_page)
    await page.card("openai").get_by_text("Use it in a box").click()
    await expect(page.card("openai")).to_contain_text("Waiting for the first request …")
    return page


async def first_request_accepted(portal: PortalWorld, open_page: OpenPage) -> WatchedPage:
    page = await waiting_for_the_first_request(portal, open_page)
    head = {"X-Run9-Box-Token": portal.gateway.box_token(portal.org)}
    base_url = portal.gateway.ready["base_urls"]["openai"]
    (await portal.control_plane.client.get(f"{base_url}models", headers=head)).raise_for_status()
    await expect(page.card("openai")).to_contain_text("First request accepted", timeout=15_000)
    return page


async def an_unknown_address(_: PortalWorld, open_page: OpenPage) -> WatchedPage:
    return await open_page("/nowhere")


STATES: Final[tuple[State, ...]] = (
    my_orgs, nothing_set_up, both_on, off, about_to_switch_off, snippets_shown, a_key_of_the_other_provider,
    faults_in_both_fields, a_new_endpoint_needs_the_key, a_refused_key, a_saved_key_that_works,
    a_saved_key_that_is_refused, a_saved_key_whose_provider_is_down, a_saved_key_that_cannot_be_tested_now,
    changed_in_another_window, somebody_was_faster, asked_to_clear, a_member_looks, members,
    asked_to_end_sessions, history, not_my_org, signed_out, a_used_link, the_session_has_ended,
    nobody_knows_whether_it_was_saved, outlines, no_answer_from_the_gateway, changed_by_somebody,
    waiting_for_the_first_request, first_request_accepted, an_unknown_address,
)  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_a_state_is_accessible_and_fits_in_both_themes_and_every_width(
    state: State, portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await state(portal, open_page)
    faults = []
    for theme in ("light", "dark"):
        await page.page.emulate_media(
            color_scheme="light" if theme == "light" else "dark", reduced_motion="reduce"
        )
        for width in WIDTHS:
            await page.page.set_viewport_size({"width": width, "height": 900})
            where = f"{theme}, {width} px"
            faults += [f"{where}: {fault}" for fault in await page.accessibility_faults()]
            if await page.is_too_wide():
                faults.append(f"{where}: wider than the window")
    for width in MORE_WIDTHS:
        await page.page.set_viewport_size({"width": width, "height": 900})
        if await page.is_too_wide():
            faults.append(f"{width} px: wider than the window")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_a_page_fits_at_200_percent_on_paper_and_in_forced_colours(
    state: State, portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await state(portal, open_page)
    # Zooming to 200 % halves the window as the page sees it.
    await page.page.set_viewport_size({"width": 640, "height": 450})
    assert not await page.is_too_wide()
    for theme in ("light", "dark"):
        await page.page.emulate_media(
            color_scheme="light" if theme == "light" else "dark",
            forced_colors="active",
            reduced_motion="reduce",
        )
        assert await page.accessibility_faults() == [], theme
    await page.page.emulate_media(forced_colors="none", media="print")
    assert not await page.is_too_wide()
