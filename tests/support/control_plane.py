"""The REST interface as the platform and an org's owner use it, for tests with orgs and integrations."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from aigw.embedded.banner import OWNER

if TYPE_CHECKING:
    from tests.support.gateway import Gateway


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A client of a gateway's control plane."""

    client: httpx.AsyncClient
    owner_token: str
    platform_token: str

    @classmethod
    @asynccontextmanager
    async def of(cls, gateway: Gateway) -> AsyncIterator[ControlPlane]:
        """Connect to a running gateway."""
        url = f"{gateway.ready['control_plane_url']}/api/v1"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield cls(client, gateway.ready["owner_token"], gateway.ready["platform_token"])

    async def new_org(self) -> str:
        """Make an org with a name of its own, owned by the demo owner."""
        org = f"org-{secrets.token_hex(4)}"
        head = {"authorization": f"Bearer {self.platform_token}"}
        for path, body in (
            (f"/orgs/{org}", {"name": org}),
            (f"/orgs/{org}/members/{OWNER}", {"role": "owner"}),
        ):
            (await self.client.put(path, json=body, headers=head)).raise_for_status()
        return org

    async def card(self, org: str, provider: str) -> httpx.Response:
        """Read an integration."""
        answer = await self.client.get(self._path(org, provider), headers=self._head)
        return answer.raise_for_status()

    async def change(self, method: str, org: str, provider: str, **body: Any) -> httpx.Response:
        """PUT, PATCH or DELETE an integration on top of its present state; give the answer, good or bad."""
        etag = (await self.card(org, provider)).headers["etag"]
        head = self._head | {"if-match": etag}
        path = self._path(org, provider)
        return await self.client.request(method, path, json=body or None, headers=head)

    async def set_up(self, org: str, provider: str, key: str, endpoint: str) -> None:
        """Give an org a key and an endpoint, switched on."""
        answer = await self.change("PUT", org, provider, api_key=key, endpoint=endpoint, enabled=True)
        assert answer.is_success, answer.text

    async def rollout(self, org: str, provider: str) -> dict[str, Any]:
        """Read how far an integration's last change has got."""
        answer = await self.client.get(f"{self._path(org, provider)}/rollout", headers=self._head)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def test(self, org: str, provider: str, **body: str) -> httpx.Response:
        """Test a typed key, else the saved key; give the answer, good or bad."""
        return await self.client.post(f"{self._path(org, provider)}/test", json=body, headers=self._head)

    async def switch(self, org: str, provider: str, *, enabled: bool) -> None:
        """Switch an integration on or off."""
        answer = await self.change("PATCH", org, provider, enabled=enabled)
        assert answer.is_success, answer.text

    async def clear(self, org: str, provider: str) -> None:
        """Clear an integration."""
        answer = await self.change("DELETE", org, provider)
        assert answer.is_success, answer.text

    @property
    def _head(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.owner_token}"}

    @staticmethod
    def _path(org: str, provider: str) -> str:
        return f"/orgs/{org}/ai-integrations/{provider}"
