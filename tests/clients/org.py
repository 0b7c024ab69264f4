"""The only org behind a gateway in static mode: where its keys are aimed, and which calls its boxes made."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from shared.providers import PROVIDERS, ProviderName
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

KEYS: Final[dict[ProviderName, str]] = {
    "openai": "sk-key-of-the-demo-org-0001",
    "anthropic": "sk-ant-api03-key-of-the-demo-org-0002",
    "gemini": "AIzaSy-key-of-the-demo-org-0003",
}
BASE_PATH: Final = "/base"
"""Endpoints have a path in front, so a request outside the path is seen."""


@dataclass(slots=True)
class Org:
    """The org `demo`. `calls()` tells the calls of its boxes since the last `start_counting()`."""

    gateway: Gateway
    control_plane: ControlPlane
    boxes: httpx.AsyncClient
    _counted: int = 0
    _marks: set[str] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def of(cls, gateway: Gateway) -> AsyncIterator[Org]:
        """Reach the org of a running gateway."""
        boxes = httpx.AsyncClient(base_url=f"{gateway.origin}/run9/ai", trust_env=False)
        async with ControlPlane.of(gateway) as control_plane, boxes:
            yield cls(gateway, control_plane, boxes)

    async def aim(self, provider: ProviderName, upstream: ScriptedUpstream) -> None:
        """Send the org's calls to `upstream` with the org's key; returns when calls arrive there."""
        await self.aim_at(provider, upstream.origin, lambda: [r.target.decode() for r in upstream.requests])
        upstream.requests.clear()

    async def aim_at(self, provider: ProviderName, origin: str, targets: Callable[[], list[str]]) -> None:
        """Do the same for any server; `targets` gives the targets of the server's requests."""
        endpoint = f"{origin}{BASE_PATH}" + ("/v1" if provider == "openai" else "")
        await self.control_plane.set_up("demo", provider, KEYS[provider], endpoint)
        probe = f"probe={secrets.token_hex(4)}"

        async def arrives() -> bool:
            await self.boxes.get(f"/{provider}/v1/models?{probe}")
            return any(probe in target for target in targets())

        await eventually(arrives, f"calls reach {provider}'s new endpoint")
        await self.start_counting()

    async def switch_off(self, provider: ProviderName) -> None:
        """Disable an integration; returns when boxes are refused."""
        await self.control_plane.switch("demo", provider, enabled=False)

        async def is_refused() -> bool:
            answer = await self.boxes.get(f"/{provider}/v1/models")
            return bool(answer.headers.get("x-run9-error") == "integration_disabled")

        await eventually(is_refused, f"{provider} is switched off")
        await self.start_counting()

    def switched_off(self, provider: ProviderName) -> str:
        """Give the sentence shown to a box while an integration is off."""
        title, portal = PROVIDERS[provider].title, self.gateway.ready["control_plane_url"]
        return (
            f"{title} is switched off for this box's organization. An organization owner can switch it on in "
            f"the run9 Portal, {portal}: Org Settings > AI Integrations > {title}."
        )

    async def start_counting(self) -> None:
        """Forget the calls so far."""
        mark = await self._mark()
        self._counted = self.gateway.log.index(mark)

    async def calls(self) -> list[dict[str, Any]]:
        """Give the access log's lines since the count was started, in order of ending."""
        mark = await self._mark()
        log = self.gateway.log
        lines = log[log.index("\n", self._counted) + 1 : log.index(mark)].splitlines()[:-1]
        calls = [json.loads(line) for line in lines if '"event":"exchange"' in line]
        return [call for call in calls if call["request_id"] not in self._marks]

    async def _mark(self) -> str:
        """Make a refused call, wait until all calls up to this call are in the access log; give its id."""
        answer = await self.boxes.get("/openai/v1/organization")
        mark = answer.headers["x-request-id"]
        self._marks.add(mark)

        async def is_written() -> bool:
            return mark in self.gateway.log

        await eventually(is_written, "the access log is written")
        return mark
