"""The behaviour of a card: its actions, its kept input, its words, by mouse and by keyboard."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Dialog, Locator, expect

from aigw.embedded.banner import MEMBER, OWNER
from shared.acknowledgement import REPORT_SECONDS
from tests.portal.conftest import OpenPage
from tests.portal.watched_page import WatchedPage
from tests.portal.world import PortalWorld
from tests.support.scripted_upstream import Close, ScriptedUpstream, WaitFor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
LIVE = re.compile(r"Live on 1 of 1")


def save_of(card: Locator) -> Locator:
    return card.get_by_role("button", name=re.compile("^Save "))


def key_of(card: Locator) -> Locator:
    return card.get_by_label("Upstream API Key")


async def open_set_up(portal: PortalWorld, open_page: OpenPage) -> tuple[WatchedPage, Locator]:
    await portal.set_up("openai")
    page = await open_page()
    return page, page.card("openai")


async def test_a_key_is_set_by_keyboard_alone(portal: PortalWorld, open_page: OpenPage) -> None:
    page = await open_page()
    keyboard = page.page.keyboard
    seen: list[str] = []
    for _ in range(40):
        await keyboard.press("Tab")
        name = await page.page.evaluate("document.activeElement.labels?.[0]?.textContent ?? ''")
        seen.append(name)
        if name == "Upstream API Key":
            break
    assert seen[-1] == "Upstream API Key"
    await keyboard.insert_text(portal.keys["openai"])
    for _ in range(3):  # Show, Test this key, the endpoint
        await keyboard.press("Tab")
    await keyboard.insert_text(portal.endpoints["openai"])
    for _ in range(2):  # Reset to default, Enabled
        await keyboard.press("Tab")
    await keyboard.press("Space")
    await page.card("openai").get_by_label("Custom Endpoint").focus()
    await keyboard.press("Enter")
    await expect(page.card("openai").locator(".told")).to_have_text(LIVE)
    assert (await portal.state("openai"))["state"] == "enabled"
    await page.settled()
    assert await page.keys_left() == []


async def test_save_waits_for_a_change_that_can_be_saved(portal: PortalWorld, open_page: OpenPage) -> None:
    _, card = await open_set_up(portal, open_page)
    await expect(save_of(card)).to_be_disabled()
    ground = await save_of(card).evaluate("button => getComputedStyle(button).backgroundColor")
    await save_of(card).hover(force=True)
    await asyncio.sleep(0.3)  # beyond the change of colour that hovering would begin
    await expect(save_of(card)).to_have_css("background-color", ground)
    await card.get_by_role("button", name="Replace the key").click()
    await expect(key_of(card)).to_be_focused()
    await key_of(card).fill("short")
    await expect(save_of(card)).to_be_disabled()
    await save_of(card).click(force=True)
    await expect(key_of(card)).to_be_focused()
    await expect(key_of(card)).to_have_attribute("aria-invalid", "true")
    await key_of(card).fill(portal.keys["openai"])
    await expect(save_of(card)).to_be_enabled()
    await card.get_by_role("button", name="Discard").click()
    await expect(save_of(card)).to_be_disabled()
    await expect(key_of(card)).to_be_hidden()


async def test_a_refused_save_keeps_what_was_typed_and_leads_to_the_field(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page()
    card = page.card("openai")
    await key_of(card).fill(portal.keys["openai"])
    await card.get_by_label("Custom Endpoint").fill("https://10.1.2.3/v1")
    await save_of(card).click()
    await expect(card.get_by_label("Custom Endpoint")).to_be_focused()
    await expect(card).to_contain_text("must name a host, not an IP address")
    await expect(key_of(card)).to_have_value(portal.keys["openai"])
    await expect(card.get_by_label("Custom Endpoint")).to_have_value("https://10.1.2.3/v1")


async def test_a_host_alone_becomes_an_endpoint_with_https(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    endpoint = card.get_by_label("Custom Endpoint")
    await endpoint.fill("gateway.example/v1")
    await expect(endpoint).to_have_value("gateway.example/v1")
    await expect(card).to_contain_text("Requests go to https://gateway.example/v1/responses")
    await page.page.keyboard.press("Tab")
    await expect(endpoint).to_have_value("https://gateway.example/v1")
    await expect(endpoint).not_to_have_attribute("aria-invalid", "true")
    await endpoint.fill("gateway")
    await page.page.keyboard.press("Tab")
    await expect(endpoint).to_have_value("gateway")
    await expect(card).to_contain_text("Begin with https://.")


async def test_a_host_alone_is_saved_with_https_by_the_first_click(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    card = (await open_page()).card("openai")
    await key_of(card).fill(portal.keys["openai"])
    await card.get_by_label("Custom Endpoint").fill("gateway.invalid/v1")
    async with card.page.expect_request(lambda request: request.method == "PUT") as asked:
        await save_of(card).click()
    body = (await asked.value).post_data_json
    assert body is not None
    assert body["endpoint"] == "https://gateway.invalid/v1"
    await expect(card.get_by_label("Custom Endpoint")).to_have_value("https://gateway.invalid/v1")


async def test_a_change_in_between_can_be_loaded(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    await page.stop_asking()
    await portal.control_plane.switch(portal.org, "openai", enabled=False)
    await card.get_by_role("button", name="Replace the key").click()
    await key_of(card).fill(portal.keys["openai"])
    await save_of(card).click()
    await expect(card).to_contain_text(
        "Changed in another window. You switched it off just now. Nothing of yours was saved."
    )
    await card.get_by_role("button", name="Load their version").click()
    await expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    await expect(card.locator(".chip")).to_have_text("Off")


async def test_a_change_in_between_can_be_overwritten(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    await page.stop_asking()
    await portal.set_up("openai", key="sk-demo-somebody-elses-key-0123")
    before = (await portal.state("openai"))["revision"]
    await card.get_by_role("button", name="Replace the key").click()
    await key_of(card).fill(portal.keys["openai"])
    await save_of(card).click()
    await page.page.unroute("**/rollout")
    await expect(card.get_by_role("button", name="Overwrite with mine")).to_be_visible()
    overwritten = card.page.expect_response(lambda response: response.request.method in {"PUT", "PATCH"})
    async with overwritten as answer:
        await card.get_by_role("button", name="Overwrite with mine").click()
    assert (await answer.value).ok
    await expect(card.locator(".told")).to_have_text(LIVE)
    after = await portal.state("openai")
    assert after["revision"] > before
    assert after["key"]["last4"] == portal.keys["openai"][-4:]


async def test_leaving_with_unsaved_changes_is_asked_about(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    page.page.on("dialog", stay)
    await card.get_by_role("switch").click()
    await page.page.get_by_role("link", name="Members").click()
    await expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert asked == ["beforeunload"]
    await card.get_by_role("switch").click()
    await page.page.get_by_role("link", name="Members").click()
    await expect(page.page.get_by_role("heading", name="Members")).to_be_visible()
    assert asked == ["beforeunload"]


async def test_clearing_needs_the_orgs_id(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    await card.get_by_text("Danger zone").click()
    await card.get_by_role("button", name="Clear OpenAI …").click()
    dialog = page.page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Clear OpenAI")
    await confirm.click(force=True)
    await expect(dialog).to_be_visible()
    assert (await portal.state("openai"))["state"] == "enabled"
    await page.page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await card.get_by_role("button", name="Clear OpenAI …").click()
    await dialog.get_by_role("textbox").fill(portal.org)
    await confirm.click()
    await expect(card.locator(".chip")).to_have_text("Not set up")
    await expect(key_of(card)).to_be_focused()
    await expect(card.locator(".told")).to_contain_text("Cleared. ")
    assert (await portal.state("openai"))["state"] == "not_set_up"


async def test_a_key_that_the_provider_rejects_in_traffic_is_shown(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai", key="sk-demo-of-nobody-0123456789")
    page = await open_page()
    card = page.card("openai")
    await expect(card.locator(".chip")).to_have_text("On, unverified")
    head = {"X-Run9-Box-Token": portal.gateway.box_token(portal.org)}
    base_url = portal.gateway.ready["base_urls"]["openai"]
    answer = await portal.control_plane.client.get(f"{base_url}models", headers=head)
    assert answer.headers["x-run9-error"] == "upstream_key_rejected"
    await expect(card.locator(".chip")).to_have_text("Key rejected just now", timeout=15_000)


async def test_a_new_key_is_not_called_rejected_for_what_was_said_of_the_one_before(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai", key="sk-demo-of-nobody-0123456789")
    card = (await open_page()).card("openai")
    client = portal.control_plane.client
    head = {"X-Run9-Box-Token": portal.gateway.box_token(portal.org), "accept": "text/plain"}
    base_url = portal.gateway.ready["base_urls"]["openai"]
    status = base_url.removesuffix("openai/v1/")
    assert (await client.get(f"{base_url}models", headers=head)).status_code == 400
    await expect(card.locator(".chip")).to_have_text("Key rejected just now", timeout=15_000)
    assert "OpenAI: KEY REJECTED" in (await client.get(status, headers=head)).text
    await card.get_by_role("button", name="Replace the key").click()
    await key_of(card).fill(portal.keys["openai"])
    await card.get_by_label("Test this key").uncheck()
    await save_of(card).click()
    await expect(card.locator(".told")).to_contain_text("Live on 1 of 1")
    await expect(card.locator(".chip")).to_have_text("On, unverified")
    await expect(card).to_contain_text("Waiting for the first request")
    said = (await client.get(status, headers=head)).text
    assert "OpenAI: ON" in said
    assert "REJECTED" not in said
    assert "upstream_key_rejected" not in said


async def test_a_test_of_the_saved_key_is_no_traffic_and_leaves_no_key(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    """The test's result is shown on the asking page, and says nothing of the boxes."""
    await portal.set_up("anthropic", key="sk-ant-api03-of-nobody-0123456789")
    page, _ = await open_set_up(portal, open_page)
    for provider, words, chip in (
        ("openai", "The saved key works.", "On, verified"),
        ("anthropic", "refuses the saved key", "Key rejected just now"),
    ):
        of_one = page.card(provider)
        await expect(of_one.locator(".chip")).to_have_text("On, unverified")
        await of_one.get_by_role("button", name=re.compile("^Test ")).click()
        await expect(of_one.locator(".verdict")).to_contain_text(words)
        await expect(of_one.locator(".steps li")).to_have_count(4)
        await expect(of_one.locator(".chip")).to_have_text(chip)
    await page.settled()
    assert await page.keys_left() == []
    await asyncio.sleep(REPORT_SECONDS + 1)  # by then traffic would have been told
    await page.goto(portal.url())
    for provider in ("openai", "anthropic"):
        await expect(page.card(provider).locator(".chip")).to_have_text("On, unverified")


async def test_a_key_that_a_test_has_verified_is_so_until_another_is_saved(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    _, card = await open_set_up(portal, open_page)
    chip = card.locator(".chip")
    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(chip).to_have_text("On, verified")
    for text in ("Off", "On, verified"):  # the key stays the same
        await card.get_by_role("switch").click()
        await save_of(card).click()
        await expect(chip).to_have_text(text)
    await card.get_by_role("button", name="Replace the key").click()
    await key_of(card).fill(portal.keys["openai"])
    await expect(chip).to_have_text("On, verified")
    await card.get_by_label("Test this key").uncheck()
    await save_of(card).click()
    await expect(chip).to_have_text("On, unverified")


async def test_a_typed_key_that_was_tested_is_verified_when_it_is_saved_as_it_was(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    _, card = await open_set_up(portal, open_page)
    for last, text in (("", "On, verified"), ("0", "On, unverified")):
        await expect(card.get_by_role("button", name="Replace the key")).to_be_visible()
        await card.get_by_role("button", name="Replace the key").click()
        await key_of(card).fill(portal.keys["openai"])
        await card.get_by_role("button", name="Test OpenAI").click()
        await expect(card.locator(".verdict")).to_have_text("The key works.")
        await key_of(card).press_sequentially(last)
        await card.get_by_label("Test this key").uncheck()
        await save_of(card).click()
        await expect(card.locator(".told")).to_have_text(LIVE)
        await expect(card.locator(".chip")).to_have_text(text)


async def test_the_outcome_of_a_test_is_not_shown_beside_another_key(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    released = asyncio.Event()
    async with ScriptedUpstream(respond=lambda _: (WaitFor(released), Close())) as upstream:
        await portal.set_up("openai", endpoint=f"{upstream.origin}/v1")
        card = (await open_page()).card("openai")
        await card.get_by_role("button", name="Test OpenAI").click()
        await expect(card.locator(".key-test")).to_contain_text("Testing the saved key")
        await card.get_by_role("button", name="Replace the key").click()
        await key_of(card).fill("sk-another-0123456789")
        await expect(card.locator(".key-test")).to_have_count(0)
        released.set()
        await expect(card.get_by_role("button", name="Test OpenAI")).to_have_text("Test")
        await expect(card.locator(".key-test")).to_have_count(0)


async def test_a_saved_key_is_tested_while_switched_off(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai", enabled=False)
    page = await open_page()
    await page.card("openai").get_by_role("button", name="Test OpenAI").click()
    await expect(page.card("openai").locator(".verdict")).to_have_text("The saved key works.")
    await expect(page.card("openai").locator(".chip")).to_have_text("Off")


async def test_a_saved_key_is_not_tested_at_a_new_endpoint(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    await card.get_by_label("Custom Endpoint").fill("https://gateway.example/v1")
    await expect(card.get_by_role("button", name="Test OpenAI")).to_be_disabled()
    await card.get_by_role("button", name="Test OpenAI").click(force=True)
    await expect(key_of(card)).to_be_focused()
    await expect(card.locator(".key-test")).to_have_count(0)
    assert page.faults == []


async def test_the_tabs_of_the_lines_move_by_arrow_keys(portal: PortalWorld, open_page: OpenPage) -> None:
    _, card = await open_set_up(portal, open_page)
    await card.get_by_text("Use it in a box").click()
    await card.get_by_role("tab", name="Shell").focus()
    await card.page.keyboard.press("ArrowLeft")
    await expect(card.get_by_role("tab", name="Everything")).to_be_focused()
    await expect(card.get_by_role("tabpanel")).to_contain_text("/run9/ai/setup.sh")
    await card.page.keyboard.press("ArrowRight")
    await expect(card.get_by_role("tabpanel")).to_contain_text("export OPENAI_API_KEY=run9-placeholder")


async def test_a_copy_button_copies_the_exact_lines(portal: PortalWorld, open_page: OpenPage) -> None:
    page, card = await open_set_up(portal, open_page)
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await card.get_by_text("Use it in a box").click()
    await card.get_by_role("button", name="Copy the Shell lines").click()
    await expect(card.get_by_text("Copied the Shell lines.")).to_be_attached()
    base_url = (await portal.state("openai"))["local_base_url"]
    copied = await page.page.evaluate("navigator.clipboard.readText()")
    assert copied == f"export OPENAI_BASE_URL={base_url}\nexport OPENAI_API_KEY=run9-placeholder"


async def test_a_member_sees_everything_and_can_change_nothing(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page(person=MEMBER)
    card = page.card("openai")
    await expect(page.page.locator("main")).to_contain_text(OWNER)
    await expect(card).to_contain_text(f"…{portal.keys['openai'][-4:]}")
    await expect(card).to_contain_text(f"{portal.endpoints['openai']}/responses")
    for role in ("textbox", "switch"):
        await expect(page.page.get_by_role(role)).to_have_count(0)
    for name in ("Save", "Test", "Replace", "Clear"):
        await expect(page.page.get_by_role("button", name=name)).to_have_count(0)


async def test_history_is_filtered_and_exported(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page("history")
    rows = page.page.locator("tbody tr")
    await expect(rows).to_have_count(4)
    await page.page.get_by_label("What").select_option("openai")
    await expect(rows).to_have_count(1)
    await page.page.get_by_label("What").select_option("")
    await page.page.get_by_label("Who").select_option("platform")
    await expect(rows).to_have_count(3)
    async with page.page.expect_download() as download:
        await page.page.get_by_role("button", name="Export CSV").click()
    lines = (await (await download.value).path()).read_text().splitlines()
    assert lines[0] == "at,actor,action,target,revision,details"
    assert len(lines) == 4
