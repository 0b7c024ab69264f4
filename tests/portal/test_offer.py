"""The Portal shows what the deployment offers: in its order, with the row's own words, and nothing else."""

from __future__ import annotations

import copy
import json
import secrets
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Route, expect

from aigw.embedded.banner import OWNER
from shared.providers import PROVIDERS
from tests.portal.conftest import OpenPage
from tests.portal.watched_page import WatchedPage
from tests.portal.world import PortalWorld
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("header gateway")]
OFFERS: Final = [("openai",), ("anthropic", "openai"), tuple(sorted(PROVIDERS))]


@pytest.mark.parametrize("names", OFFERS, ids=",".join)
async def test_the_cards_are_those_of_the_deployment_with_the_lines_of_their_rows(
    names: tuple[str, ...], tmp_path: Path, browser: Browser
) -> None:
    with Gateway(tmp_path, environment={"AIGW_PROVIDERS": ",".join(names)}) as gateway:
        async with ControlPlane.of(gateway) as control_plane:
            portal = await PortalWorld.make(gateway, control_plane, secrets.token_hex(4))
            head = {"authorization": f"Bearer {control_plane.owner_token}"}
            rows = (await control_plane.client.get("/providers", headers=head)).json()["items"]
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            await portal.sign_in(context, OWNER)
            page = WatchedPage(await context.new_page(), portal.canaries)
            await page.goto(portal.url())
            assert await page.page.locator("section.card h2").all_inner_texts() == [
                row["title"] for row in rows
            ]
            assert [row["provider"] for row in rows] == list(names)
            for row in rows:
                await shows_row(page, row)
            await page.goto(portal.url("/"))
            await expect(page.page.get_by_text(f"0 of {len(names)} on").first).to_be_visible()
            await page.goto(portal.url("history"))
            options = page.page.get_by_label("What").locator("option")
            await expect(options).to_have_text(["Everything", *(row["title"] for row in rows)])
            await page.check()
            await context.close()


async def shows_row(page: WatchedPage, row: dict[str, Any]) -> None:
    """The card says of its provider what the row says."""
    card = page.card(row["provider"])
    await expect(card.locator(".base-url")).to_have_text(row["local_base_url"])
    await expect(card.get_by_label("Custom Endpoint")).to_have_attribute(
        "placeholder", row["default_endpoint"]
    )
    link = card.get_by_role("link", name=f"Make one at {row['company']}")
    await expect(link).to_have_attribute("href", row["key_page"])
    await card.get_by_text("Use it in a box").click()
    for snippet in row["snippets"]:
        await card.get_by_role("tab", name=snippet["title"], exact=True).click()
        lines = card.get_by_label(f"{snippet['title']} lines for {row['title']}")
        assert await lines.inner_text() == snippet["code"]


async def test_a_provider_that_no_script_has_heard_of_gets_a_whole_card(
    portal: PortalWorld, open_page: OpenPage
) -> None:
    """Rows come by REST; this browser gets one more than the release has."""
    page = await open_page("/")
    row = {
        "provider": "acme",
        "title": "Acme Models",
        "company": "Acme",
        "about": "Talks.",
        "default_endpoint": "https://models.acme.example",
        "version_segment": "/v9",
        "example_path": "/talk",
        "local_base_url": "http://10.0.2.2:1000/run9/ai/acme",
        "keys": [{"kind": "acme", "prefix": "acme_"}],
        "key_page": "https://acme.example/keys",
        "console": "https://acme.example",
        "snippets": [{"id": "shell", "title": "Shell", "note": "", "code": "export ACME_BASE_URL=http://x"}],
    }

    async def one_more(route: Route) -> None:
        answer = await route.fetch()
        found = await answer.json()
        if route.request.url.endswith("/providers"):
            found["items"].append(row)
        else:
            card = copy.deepcopy(found["items"][0])
            card |= {
                "provider": "acme",
                "endpoint": row["default_endpoint"],
                "local_base_url": row["local_base_url"],
            }
            found["items"].append(card)
        await route.fulfill(response=answer, body=json.dumps(found))

    await page.page.route("**/api/v1/providers", one_more)
    await page.page.route("**/api/v1/orgs/*/ai-integrations", one_more)
    await page.page.route("**/acme/rollout", lambda route: route.abort())
    await page.goto(portal.url())
    assert await page.page.locator("section.card h2").all_inner_texts() == [
        "OpenAI",
        "Anthropic / Claude Code",
        "Acme Models",
    ]
    await shows_row(page, row)
    card = page.card("acme")
    await expect(card).to_contain_text("Requests go to https://models.acme.example/v9/talk")
    await card.get_by_label("Upstream API Key").fill("0123456789")
    await expect(card).to_contain_text("Keys of Acme begin with acme_. This one does not.")
