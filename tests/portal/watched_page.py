"""A watched page: script errors, policy violations and a key in any answer fail its test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import ConsoleMessage, Error, Locator, Page, Response, Route

from tests.portal.chromium import node_module
from tests.support.canary import Canary

WIDTHS: Final = (320, 768, 1280)
_STORAGE: Final = (
    "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, name, location.href])"
)
_VALUES: Final = "[...document.querySelectorAll('input')].map((input) => input.value).join('\\n')"
# Chromium reports every 4xx answer as an error of the page; the tests look at those themselves.
_REPORTED_ANSWER: Final = "Failed to load resource: "


@dataclass
class WatchedPage:
    """Wraps Playwright's page. `canaries` are keys forbidden in any answer."""

    page: Page
    canaries: Sequence[Canary]
    faults: list[str] = field(default_factory=list)
    _held: list[Route] = field(default_factory=list)
    _reading: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_REPORTED_ANSWER):
            self.faults.append(f"console: {message.text}")

    def _on_response(self, response: Response) -> None:
        self._reading.append(asyncio.ensure_future(self._scan(response)))  # noqa: TID251  # awaited by check

    async def _scan(self, response: Response) -> None:
        try:
            body = await response.body()
        except Error:  # a redirect or a 204 has none
            body = b""
        seen = body + json.dumps(response.headers).encode() + response.url.encode()
        for canary in self.canaries:
            self.faults.extend(canary.found_in(seen, f"answer of {response.url}"))

    async def goto(self, url: str) -> None:
        """Open a page of the Portal and wait until the page has filled itself."""
        await self.page.goto(url)
        await self.page.wait_for_selector("body[data-ready]")

    async def stop_asking(self) -> None:
        """Let no card notice a change by itself from now on: a save is then the first to meet the change."""
        await self.page.route("**/rollout", lambda route: route.abort())

    async def hold(self, address: str) -> None:
        """Let no request to such an address be answered until the page is checked."""

        def keep(route: Route) -> None:
            self._held.append(route)

        await self.page.route(address, keep)

    def card(self, provider: str) -> Locator:
        """The card of a provider."""
        return self.page.locator(f"section[data-provider={provider}]")

    async def settled(self) -> None:
        """Wait until every answer so far has been looked at."""
        await asyncio.gather(*self._reading)

    async def keys_left(self) -> list[str]:
        """Tell where a key still is in the page: its markup, its fields, any storage, its address."""
        seen = await self.page.content()
        for script in (_STORAGE, _VALUES):
            seen += await self.page.evaluate(script)
        return [fault for canary in self.canaries for fault in canary.found_in(seen.encode(), "page")]

    async def accessibility_faults(self) -> list[str]:
        """Run axe-core, best practices included."""
        await self.page.evaluate(node_module("axe-core/axe.min.js").read_text())
        found: dict[str, Any] = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']} ({', '.join(node['html'][:120] for node in one['nodes'][:3])})"
            for one in found["violations"]
        ]

    async def is_too_wide(self) -> bool:
        """Whether the page must be scrolled sideways."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    async def check(self) -> None:
        """Raise `AssertionError` with every fault seen."""
        for route in self._held:
            with suppress(Error):  # the page has left
                await route.abort()
        await self.settled()
        assert not self.faults, "\n".join(self.faults)
