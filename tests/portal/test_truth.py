"""A card says only what is known: lost answers, proxies, silence, and input typed meanwhile."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from aigw.embedded.banner import OWNER
from tests.portal.card_parts import ANOTHER_KEY, replace_key, save_of, told
from tests.portal.conftest import OpenPage
from tests.portal.front_proxy import FrontProxy, Kind
from tests.portal.watched_page import WatchedPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
CARD = "/ai-integrations/openai$"


@pytest.fixture
def front(portal: PortalWorld) -> Iterator[FrontProxy]:
    with FrontProxy(int(portal.origin.rpartition(":")[2])) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def through(
    front: FrontProxy, browser: Browser, portal: PortalWorld
) -> AsyncIterator[tuple[WatchedPage, Locator]]:
    """The owner's page as it is reached through the proxy, OpenAI set up and live."""
    await portal.set_up("openai")
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await portal.sign_in(context, OWNER)
    page = WatchedPage(await context.new_page(), portal.canaries)
    await page.goto(f"{front.origin}/orgs/{portal.org}/ai-integrations")
    card = page.card("openai")
    await expect(card.locator(".told")).to_have_text("Live on 1 of 1")
    yield page, card
    await page.check()
    await context.close()


# -- nothing is said that is not known


@pytest.mark.parametrize("kind", ["lose", "late_504", "cut", "page"])
async def test_a_save_whose_answer_is_lost_is_called_saved_when_it_was(
    kind: Kind, front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    _, card = through
    await replace_key(card)
    front.fault(kind, "PATCH", CARD)
    await save_of(card).click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
    await expect(card).not_to_contain_text("Nothing was changed")
    await expect(card.locator(".saved-key")).to_contain_text(ANOTHER_KEY[-4:])
    assert (await portal.state("openai"))["key"]["last4"] == ANOTHER_KEY[-4:]


async def test_a_save_that_a_proxy_kept_is_called_not_saved_and_can_be_repeated(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    _, card = through
    await replace_key(card)
    front.fault("early_504", "PATCH", CARD)
    await save_of(card).click()
    await expect(card.get_by_role("alert")).to_contain_text("It was not saved.")
    await expect(card.get_by_label("Upstream API Key")).to_have_value(ANOTHER_KEY)
    front.heal()
    await save_of(card).click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))
    assert (await portal.state("openai"))["key"]["last4"] == ANOTHER_KEY[-4:]


async def test_nothing_is_claimed_while_the_card_cannot_be_read_again(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    _, card = through
    await card.get_by_role("switch").click()
    front.fault("lose", "PATCH", CARD)
    front.fault("early_504", "GET", CARD)
    await save_of(card).click()
    alert = card.get_by_role("alert")
    await expect(alert).to_contain_text("It is not known whether this was saved.")
    await expect(alert).to_contain_text("Checking …")
    await expect(save_of(card)).to_be_disabled()
    front.heal()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. "), timeout=10_000)
    await expect(card.locator(".chip")).to_have_text("Off")


async def test_a_save_that_arrives_late_is_called_saved_after_all(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    _, card = through
    await card.get_by_role("switch").click()
    front.fault("forward_after_504", "PATCH", CARD)
    await save_of(card).click()
    await expect(card.get_by_role("alert")).to_contain_text("It was not saved.")
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. "), timeout=12_000)
    await expect(card.locator(".chip")).to_have_text("Off")
    await expect(card.get_by_role("alert")).to_have_text("")


async def test_a_first_set_up_whose_answer_is_lost_is_called_saved(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, _ = through
    card = page.card("anthropic")
    await card.get_by_label("Upstream API Key").fill(portal.keys["anthropic"])
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["anthropic"])
    await card.get_by_role("switch").click()
    front.fault("lose", "PUT", "/ai-integrations/anthropic$")
    await card.get_by_role("button", name="Save Anthropic").click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. Live on 1 of 1"))


async def test_a_clear_whose_answer_is_lost_is_called_cleared(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, card = through
    front.fault("lose", "DELETE", CARD)
    await card.get_by_text("Danger zone").click()
    await card.get_by_role("button", name="Clear OpenAI …").click()
    dialog = page.page.get_by_role("dialog")
    await dialog.get_by_role("textbox").fill(portal.org)
    await dialog.get_by_role("button", name="Clear OpenAI").click()
    await expect(card.locator(".chip")).to_have_text("Not set up")
    await expect(told(card)).to_contain_text("Cleared. ")


async def test_a_test_without_an_answer_says_nothing_of_the_key(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    _, card = through
    front.fault("early_504", "POST", "/test$")
    await card.get_by_role("button", name="Test OpenAI").click()
    await expect(card.locator(".verdict")).to_contain_text("Not tested.")
    await expect(card.locator(".chip")).to_have_text("On, unverified")


async def test_a_page_that_cannot_be_read_says_so_and_can_be_tried_again(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    page, card = through
    front.fault("late_504", "GET", "/api/v1/.*/ai-integrations$")
    await page.page.reload()
    await expect(page.page.get_by_role("alert")).to_contain_text("answered in its place (status 504)")
    front.heal()
    await page.page.get_by_role("button", name="Try again").click()
    await expect(card.locator(".chip")).to_be_visible()


async def test_without_a_network_a_save_is_looked_up_when_there_is_one_again(
    through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, card = through
    await card.get_by_role("switch").click()
    await page.page.context.set_offline(offline=True)
    await save_of(card).click()
    await expect(card.get_by_role("alert")).to_contain_text("It is not known whether this was saved.")
    await page.page.context.set_offline(offline=False)
    await expect(card.get_by_role("alert")).to_contain_text("It was not saved.", timeout=10_000)
    await save_of(card).click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. "))
    assert (await portal.state("openai"))["state"] == "disabled"


async def test_a_sign_out_without_an_answer_does_not_claim_one(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    page, _ = through
    front.fault("early_504", "POST", "/sign-out$")
    await page.page.get_by_role("button", name="Sign out").click()
    await expect(page.page.get_by_text("You may still be signed in.")).to_be_visible()


# -- nothing typed is lost


async def test_what_is_typed_while_a_save_runs_stays(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    _, card = through
    await replace_key(card)
    front.fault("hold", "PATCH", CARD)
    await save_of(card).click()
    await expect(save_of(card)).to_have_text("Saving …")
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await card.get_by_role("switch").click()
    front.release()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. .*What you typed since is not saved yet\."))
    await expect(card.get_by_label("Upstream API Key")).to_have_value(portal.keys["openai"])
    await expect(card.get_by_role("switch")).not_to_be_checked()
    assert (await portal.state("openai"))["key"]["last4"] == ANOTHER_KEY[-4:]
    await save_of(card).click()
    await expect(card.locator(".chip")).to_have_text("Off")
    assert (await portal.state("openai"))["key"]["last4"] == portal.keys["openai"][-4:]


async def test_a_session_that_ends_in_the_middle_of_a_save_keeps_what_was_typed(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, card = through
    await replace_key(card)
    await page.page.context.clear_cookies()
    await save_of(card).click()
    await expect(card.get_by_role("alert")).to_contain_text("Nothing was changed.")
    await expect(card.get_by_label("Upstream API Key")).to_have_value(ANOTHER_KEY)
    asked = len(front.seen)
    await page.page.wait_for_timeout(6000)
    assert front.seen[asked:] == []  # an ended session asks for nothing
    await portal.sign_in(page.page.context, OWNER)
    await page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.page.get_by_text("Your session has ended.")).to_be_hidden()
    await save_of(card).click()
    await expect(told(card)).to_have_text(re.compile(r"^Saved\. "))


# -- nothing hangs silently


async def test_the_frame_stands_while_the_gateway_is_slow(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, _ = through
    for path in ("ai-integrations", "members", "history"):
        front.fault("hold", "GET", "/api/v1/")
        await page.page.goto(f"{front.origin}/orgs/{portal.org}/{path}")
        await expect(page.page.get_by_role("heading", level=1)).to_be_visible(timeout=2000)
        await expect(page.page.get_by_role("heading", name="Org Settings")).to_be_visible()
        await expect(page.page.get_by_text("Loading …")).to_be_attached()
        front.release()
        await page.page.wait_for_selector("body[data-ready]")
        await expect(page.page.locator(".skeleton")).to_have_count(0)


async def test_a_stopped_gateway_is_waited_for_aloud_and_then_looked_up(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page()
    card = page.card("openai")
    await expect(told(card)).to_have_text("Live on 1 of 1")
    await card.get_by_role("switch").click()
    await page.page.clock.install()
    portal.gateway.signal(signal.SIGSTOP)
    try:
        await save_of(card).click()
        await expect(save_of(card)).to_have_text("Saving …")
        await page.page.clock.fast_forward(11_000)
        await expect(told(card)).to_have_text("This takes longer than usual …")
        await page.page.clock.fast_forward(20_000)
        await expect(card.get_by_role("alert")).to_contain_text("It is not known whether this was saved.")
        await expect(card.get_by_role("alert")).to_contain_text("has not answered for 30 seconds")
    finally:
        portal.gateway.signal(signal.SIGCONT)
    await expect(card.locator(".chip")).to_have_text("Off", timeout=15_000)
    await expect(card).not_to_contain_text("Nothing was changed")


async def test_a_slow_list_says_that_it_takes_long(
    front: FrontProxy, through: tuple[WatchedPage, Locator], portal: PortalWorld
) -> None:
    page, _ = through
    await page.page.clock.install()
    front.fault("hold", "GET", "/api/v1/")
    await page.page.goto(f"{front.origin}/orgs/{portal.org}/members")
    await expect(page.page.get_by_role("heading", name="Members")).to_be_visible()
    await page.page.clock.fast_forward(11_000)
    await expect(page.page.get_by_text("This takes longer than usual")).to_be_visible()
    await page.page.clock.fast_forward(20_000)
    await expect(page.page.get_by_role("alert")).to_contain_text("has not answered for 30 seconds")
    await expect(page.page.get_by_role("button", name="Try again")).to_be_visible()


async def test_a_gateway_that_stops_answering_is_named_on_an_open_page(
    front: FrontProxy, through: tuple[WatchedPage, Locator]
) -> None:
    page, _ = through
    front.fault("early_504", "GET", "/rollout$")
    await expect(page.page.get_by_text("The gateway does not answer.")).to_be_visible(timeout=20_000)
    front.heal()
    await expect(page.page.get_by_text("The gateway does not answer.")).to_be_hidden(timeout=20_000)
