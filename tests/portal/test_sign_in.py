"""Signing in and out: by the one-time link of `aigw up`, and at a real OpenID provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from aigw.embedded.banner import OWNER
from aigw.embedded.sign_in_link import sign_in_link
from services.control_plane.sign_in.browser import OIDC_COOKIE, SESSION_COOKIE
from tests.portal.chromium import node_module
from tests.portal.conftest import OpenPage
from tests.portal.world import PortalWorld
from tests.support.commands import AIGW
from tests.support.gateway import Gateway, clean_environment
from tests.support.servers.process import ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import find_program, missing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
SECRET = "client-secret-of-tests-only"


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context()
    yield context
    await context.close()


async def test_a_link_signs_in_once_and_leaves_no_trace_of_its_token(
    header_gateway: Gateway, context: BrowserContext
) -> None:
    link = sign_in_link(header_gateway.data_dir, OWNER)
    token = link.rpartition("#")[2]
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(link)
    await expect(page.get_by_role("heading", name="My Orgs")).to_be_visible()
    assert token not in page.url
    assert not any(token in url.partition("#")[0] for url in asked)
    (cookie,) = await context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (SESSION_COOKIE, True, "Lax")
    assert await page.evaluate("document.cookie") == ""
    await context.clear_cookies()
    await page.goto(link.partition("#")[0])
    await page.goto(link)  # in a tab that shows the page already
    await expect(page.get_by_role("alert")).to_contain_text("used already")
    assert token not in header_gateway.log + header_gateway.printed


async def test_the_printed_link_is_in_the_ready_file_for_owner_and_member(header_gateway: Gateway) -> None:
    for name in ("portal_sign_in_url", "portal_member_sign_in_url"):
        assert header_gateway.ready[name].startswith(header_gateway.ready["portal_url"] + "sign-in#")
    assert header_gateway.ready["portal_sign_in_url"] in header_gateway.printed
    assert header_gateway.ready["portal_member_sign_in_url"] not in header_gateway.printed


async def test_signing_out_ends_the_session_everywhere(portal: PortalWorld, open_page: OpenPage) -> None:
    page = await open_page("/")
    cookies = {cookie["name"]: cookie["value"] for cookie in await page.page.context.cookies()}
    await page.page.get_by_role("button", name="Sign out").click()
    await expect(page.page.get_by_text("You are signed out.")).to_be_visible()
    async with httpx.AsyncClient(cookies=cookies, trust_env=False) as client:
        assert (await client.get(f"{portal.origin}/api/v1/me")).status_code == 401


async def test_an_ended_session_is_taken_up_in_another_tab_without_losing_what_was_typed(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    page = await open_page()
    card = page.card("openai")
    await card.get_by_label("Upstream API Key").fill(portal.keys["openai"])
    await card.get_by_label("Custom Endpoint").fill(portal.endpoints["openai"])
    await page.page.context.clear_cookies()
    await card.get_by_role("button", name="Save OpenAI").click()
    await expect(page.page.get_by_text("Your session has ended.")).to_be_visible()
    await expect(card.get_by_role("alert")).to_contain_text("Your session has ended: sign in again.")
    await portal.sign_in(page.page.context, OWNER)
    await page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.page.get_by_text("Your session has ended.")).to_be_hidden()
    await card.get_by_role("button", name="Save OpenAI").click()
    await expect(card.locator(".told")).to_contain_text("Live on 1 of 1")


async def test_another_origin_can_neither_read_nor_write(portal: PortalWorld, open_page: OpenPage) -> None:
    """A page of another origin, in the same browser, with the same cookie."""
    page = await open_page("/")
    other = await page.page.context.new_page()
    await other.goto(portal.gateway.ready["admin_url"] + "/livez")
    path = f"{portal.origin}/api/v1/orgs/{portal.org}/ai-integrations/openai"
    script = """async (url) => {
        const send = (method, mode) => fetch(url, {method, mode, credentials: "include",
            headers: {"content-type": "text/plain"}, body: method === "GET" ? undefined : "{}"})
            .then((answer) => answer.type, (error) => "refused");
        return [await send("GET", "cors"), await send("PUT", "cors"), await send("POST", "no-cors")];
    }"""
    assert await other.evaluate(script, path) == ["refused", "refused", "opaque"]
    assert (await portal.state("openai"))["revision"] == 0


@dataclass(frozen=True)
class OidcGateway:
    """A control plane as production has it, with a real OpenID provider."""

    origin: str
    issuer: str
    log: Path


@pytest.fixture(scope="session")
def oidc_gateway() -> Iterator[OidcGateway]:
    node = find_program("node") or missing("Node")
    node_module("oidc-provider/package.json")
    port, issuer_port = free_port(), free_port()
    origin, issuer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{issuer_port}"
    folder = short_folder("oidc")
    environment = {
        "AIGW_ENVIRONMENT": "development",
        "AIGW_DATABASE_URL": f"sqlite:///{folder}/control-plane.db",
        "AIGW_SECRET_STORE_URL": f"local://{folder}/secrets",
        "AIGW_CONTROL_PLANE_PORT": str(port),
        "AIGW_INTERNAL_PORT": "0",
        "AIGW_INTERNAL_TOKEN": "internal-token-of-tests",
        "AIGW_PORTAL_ORIGIN": origin,
        "AIGW_OIDC_ISSUER": issuer,
        "AIGW_OIDC_CLIENT_ID": "portal",
        "AIGW_OIDC_CLIENT_SECRET": SECRET,
    }
    provider, plane = ServerProcess(short_folder("op")), ServerProcess(folder)
    script = Path(__file__).with_name("oidc_provider.mjs")
    try:
        redirect_uri = f"{origin}/sign-in/callback"
        provider.start([node, script, issuer_port, redirect_uri, SECRET], lambda: answers(issuer_port))
        command = [*AIGW, "control-plane"]
        plane.start(command, lambda: answers(port), clean_environment(**environment))
        yield OidcGateway(origin, issuer, folder / "log")
    finally:
        plane.close()
        provider.close()


async def sign_in_at_provider(page: Page, login: str) -> None:
    await page.get_by_role("link", name="Continue to sign in").click()
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", "anything")
    await page.click("button[type=submit]")
    await page.click("button[type=submit]")  # consent


async def test_a_person_signs_in_at_a_real_openid_provider(
    oidc_gateway: OidcGateway, context: BrowserContext
) -> None:
    page = await context.new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    await page.goto(f"{oidc_gateway.origin}/orgs/acme/members")
    await sign_in_at_provider(page, "ada")
    await expect(page.get_by_text("ada@example.test")).to_be_visible()
    assert page.url == f"{oidc_gateway.origin}/orgs/acme/members"  # where they wanted to go
    (leaving,) = (url for url in seen if url.startswith(f"{oidc_gateway.issuer}/auth?"))
    query = httpx.URL(leaving).params
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert query["state"]
    assert query["nonce"]
    (coming_back,) = (url for url in seen if "/sign-in/callback" in url)
    await page.goto(coming_back)
    await expect(page.get_by_role("alert")).to_contain_text("took too long, or was begun in another browser")
    log = oidc_gateway.log.read_text()
    assert SECRET not in log
    assert httpx.URL(coming_back).params["code"] not in log


async def test_the_way_back_works_only_in_the_browser_that_left(
    oidc_gateway: OidcGateway, browser: Browser, context: BrowserContext
) -> None:
    """Login CSRF: an attacker hands over the end of their own sign-in."""
    attacker = await browser.new_context()
    page = await attacker.new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    await page.goto(f"{oidc_gateway.origin}/")
    await page.get_by_role("link", name="Continue to sign in").click()
    await page.fill("input[name=login]", "mallory")
    await page.fill("input[name=password]", "x")
    await attacker.clear_cookies(name=OIDC_COOKIE)  # the code must come back unused
    await page.click("button[type=submit]")
    await page.click("button[type=submit]")
    await expect(page.get_by_role("alert")).to_be_visible()
    (stolen,) = (url for url in seen if "/sign-in/callback" in url)
    await attacker.close()
    victim = await context.new_page()
    await victim.goto(f"{oidc_gateway.origin}/sign-in")
    await sign_in_started(victim, oidc_gateway)
    await victim.goto(stolen)
    await expect(victim.get_by_role("alert")).to_contain_text("not signed in")
    assert SESSION_COOKIE not in {cookie["name"] for cookie in await context.cookies()}


async def sign_in_started(page: Page, gateway: OidcGateway) -> None:
    await page.get_by_role("link", name="Continue to sign in").click()
    await page.wait_for_url(f"{gateway.issuer}/**")


async def test_an_unverified_address_signs_nobody_in(
    oidc_gateway: OidcGateway, context: BrowserContext
) -> None:
    page = await context.new_page()
    await page.goto(f"{oidc_gateway.origin}/")
    await sign_in_at_provider(page, "unverified")
    await expect(page.get_by_role("alert")).to_contain_text("no verified email address")
    await page.goto(f"{oidc_gateway.origin}/")
    assert "/sign-in" in page.url


async def test_nobody_is_sent_to_another_site_after_signing_in(
    oidc_gateway: OidcGateway, context: BrowserContext
) -> None:
    page = await context.new_page()
    await page.goto(f"{oidc_gateway.origin}/sign-in?to=//evil.example/orgs")
    await sign_in_at_provider(page, "grace")
    await expect(page.get_by_role("heading", name="My Orgs")).to_be_visible()
    assert page.url == f"{oidc_gateway.origin}/"
