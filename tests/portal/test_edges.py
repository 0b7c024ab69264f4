"""Addresses that are nowhere, deep links, paper, forced colours, many organizations, nothing that moves."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import expect

from aigw.embedded.banner import OWNER
from aigw.embedded.sign_in_link import sign_in_link
from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
SHIFTS = """new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value;
    }).observe({type: "layout-shift", buffered: true});
    setTimeout(() => resolve(sum), 1500);
})"""


@pytest.mark.parametrize("path", ["/nowhere", "/orgs/{org}/nowhere", "/orgs/a/b/c/d", "/favicon.ico"])
async def test_a_browser_gets_a_page_at_an_address_that_is_nowhere(path: str, portal: PortalWorld) -> None:
    async with httpx.AsyncClient(base_url=portal.origin, trust_env=False) as client:
        browser = await client.get(path.format(org=portal.org), headers={"accept": "text/html,*/*"})
        program = await client.get(path.format(org=portal.org), headers={"accept": "*/*"})
    assert (browser.status_code, browser.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (program.status_code, program.headers["content-type"]) == (404, "application/problem+json")


async def test_rest_stays_rest_for_a_browser(portal: PortalWorld) -> None:
    async with httpx.AsyncClient(base_url=portal.origin, trust_env=False) as client:
        answer = await client.get("/api/v1/nowhere", headers={"accept": "text/html"})
        other = await client.put("/nowhere", headers={"accept": "text/html"})
    for one in (answer, other):
        assert (one.status_code, one.headers["content-type"]) == (404, "application/problem+json")


async def test_the_page_of_an_unknown_address_leads_back(open_page: OpenPage) -> None:
    page = await open_page("/nowhere")
    await expect(page.page.get_by_role("alert")).to_contain_text("No page of the Portal has this address.")
    assert await page.accessibility_faults() == []
    await page.page.get_by_role("link", name="Go to My Orgs").click()
    await expect(page.page.get_by_role("heading", name="My Orgs")).to_be_visible()


@pytest.mark.parametrize("tail", ["", "/", "/settings", "/ai-integrations/"])
async def test_a_shortened_address_leads_to_the_cards(
    tail: str, portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page(f"/orgs/{portal.org}{tail}")
    assert page.page.url == portal.url()


async def test_a_deep_link_survives_a_one_time_link_in_another_tab(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page("history", person="")
    await expect(page.page.get_by_role("heading", name="Sign in")).to_be_visible()
    other = await page.page.context.new_page()
    await other.goto(sign_in_link(portal.gateway.data_dir, OWNER))
    await expect(other.get_by_role("heading", name="History")).to_be_visible()
    assert other.url == portal.url("history")


async def test_history_breaks_no_address_in_two(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    for width in (1280, 1440):
        page = await open_page("history", width=width)
        cell = page.page.locator("td[data-label=Who]").first
        height = await cell.evaluate("cell => cell.getClientRects()[0].height")
        lines = await cell.evaluate(
            "cell => { const range = document.createRange(); range.selectNodeContents(cell);"
            " return new Set([...range.getClientRects()].map(({top}) => Math.round(top))).size; }"
        )
        assert lines == 1, height


async def test_the_chosen_tab_shows_in_forced_colours(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page()
    await page.page.emulate_media(forced_colors="active")
    card = page.card("openai")
    await card.get_by_text("Use it in a box").click()
    script = "tab => getComputedStyle(tab).backgroundColor"
    chosen = await card.get_by_role("tab", selected=True).evaluate(script)
    others = {await tab.evaluate(script) for tab in await card.get_by_role("tab", selected=False).all()}
    assert chosen not in others


async def test_paper_shows_what_is_saved_and_no_buttons(portal: PortalWorld, open_page: OpenPage) -> None:
    await portal.set_up("openai")
    page = await open_page()
    await page.page.emulate_media(media="print")
    await expect(page.card("openai").locator(".saved-key")).to_be_visible()
    await expect(page.page.locator("button:visible:not([role=switch])")).to_have_count(0)
    await expect(page.page.get_by_role("navigation")).to_be_hidden()


async def test_a_person_with_many_organizations_searches_and_switches(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    made = [await portal.control_plane.new_org() for _ in range(8)]
    page = await open_page("/")
    await page.page.get_by_label("Search your organizations").fill(portal.org.upper())
    await expect(page.page.get_by_role("listitem")).to_have_count(1)
    await expect(page.page.get_by_role("status")).to_have_text("1 organization found.")
    await page.page.get_by_role("link", name=f"Settings of {portal.name}").click()
    await page.page.get_by_label("Switch to another org").select_option(made[0])
    await page.page.wait_for_url(f"**/orgs/{made[0]}/ai-integrations")


@pytest.mark.parametrize("path", ["/", "ai-integrations", "members", "history"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_moves_while_a_page_fills(
    path: str, width: int, portal: PortalWorld, open_page: OpenPage
) -> None:
    await portal.set_up("openai")
    page = await open_page(path, width=width)
    assert await page.page.evaluate(SHIFTS) <= 0.01
