"""The world of a Portal test: an org of its own, two people, the demo provider and its keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import httpx
from playwright.async_api import BrowserContext

from aigw.embedded.banner import MEMBER, OWNER
from aigw.embedded.sign_in_link import sign_in_link
from services.control_plane.sign_in.browser import SESSION_COOKIE
from tests.support.canary import Canary
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway


@dataclass(frozen=True, slots=True)
class PortalWorld:
    """An org `org` called `name`; `keys` and `endpoints` are the demo provider's, by provider."""

    gateway: Gateway
    control_plane: ControlPlane
    org: str
    name: str
    keys: dict[str, str]
    endpoints: dict[str, str]

    @classmethod
    async def make(cls, gateway: Gateway, control_plane: ControlPlane, tag: str) -> Self:
        """Make the org."""
        org, name = f"acme-{tag}", f"Acme {tag}"
        head = {"authorization": f"Bearer {control_plane.platform_token}"}
        for path, body in (
            (f"/orgs/{org}", {"name": name}),
            (f"/orgs/{org}/members/{OWNER}", {"role": "owner"}),
            (f"/orgs/{org}/members/{MEMBER}", {"role": "member"}),
        ):
            (await control_plane.client.put(path, json=body, headers=head)).raise_for_status()
        providers = ("openai", "anthropic")
        keys = {name: (gateway.data_dir / f"demo-{name}-key").read_text() for name in providers}
        endpoints = {
            name: gateway.demo_endpoint(name) for name in gateway.ready["base_urls"] if name in providers
        }
        return cls(gateway, control_plane, org, name, keys, endpoints)

    @property
    def canaries(self) -> list[Canary]:
        """The keys to be kept secret, without the common start of every such key."""
        return [Canary(key.rpartition("demo-")[2]) for key in self.keys.values()]

    @property
    def origin(self) -> str:
        """Where the Portal is, without a slash."""
        url: str = self.gateway.ready["control_plane_url"]
        return url

    def url(self, path: str | None = None) -> str:
        """The address of a page: by default the org's cards; `members`, `history`, or a path from `/` on."""
        if path is not None and path.startswith("/"):
            return self.origin + path
        return f"{self.origin}/orgs/{self.org}/{path or 'ai-integrations'}"

    async def sign_in(self, context: BrowserContext, person: str) -> None:
        """Give a browser the session opened by a link for single use."""
        token = sign_in_link(self.gateway.data_dir, person).rpartition("#")[2]
        async with httpx.AsyncClient(base_url=self.origin, trust_env=False) as client:
            answer = await client.post(
                "/sign-in/link", json={"token": token}, headers={"origin": self.origin}
            )
        assert answer.status_code == 204, answer.text
        value = answer.cookies[SESSION_COOKIE]
        await context.add_cookies([{"name": SESSION_COOKIE, "value": value, "url": self.origin}])

    async def put_member(self, email: str, role: str) -> None:
        """Let the platform give a person this role."""
        await self._member("PUT", email, json={"role": role})

    async def remove_member(self, email: str) -> None:
        """Let the platform take a person out of the org."""
        await self._member("DELETE", email)

    async def _member(self, method: str, email: str, **body: Any) -> None:
        head = {"authorization": f"Bearer {self.control_plane.platform_token}"}
        path = f"/orgs/{self.org}/members/{email}"
        answer = await self.control_plane.client.request(method, path, headers=head, **body)
        answer.raise_for_status()

    async def second_owner(self) -> ControlPlane:
        """Make the member an owner, too; give the REST interface of this person."""
        await self.put_member(MEMBER, "owner")
        return replace(self.control_plane, owner_token=self.gateway.ready["member_token"])

    async def set_up(
        self, provider: str, *, enabled: bool = True, key: str | None = None, endpoint: str | None = None
    ) -> None:
        """Save a provider by REST, as the owner does in another window."""
        answer = await self.control_plane.change(
            "PUT",
            self.org,
            provider,
            api_key=key or self.keys[provider],
            endpoint=endpoint or self.endpoints[provider],
            enabled=enabled,
        )
        assert answer.is_success, answer.text

    async def test(self, provider: str) -> dict[str, Any]:
        """Test the saved key by REST."""
        answer = await self.control_plane.test(self.org, provider)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def state(self, provider: str) -> dict[str, Any]:
        """Read a card by REST."""
        found: dict[str, Any] = (await self.control_plane.card(self.org, provider)).json()
        return found
