"""The set-up of `aigw up` through the control plane's REST API: demo org, people, node, integrations.

Everything can be repeated. A second start changes only settings made by this program itself (the demo
provider's port may have moved), never changes made by others in between.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from aigw.embedded.banner import MEMBER, OWNER
from aigw.embedded.data_dir import write_private
from aigw.failures import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aigw.embedded.data_dir import DataDir
    from aigw.embedded.providers_wanted import Wanted
    from shared.secret import Secret

ORG: Final = "demo"
NODE: Final = "local"
REQUEST_SECONDS: Final = 20.0
_MEMORY_FILE: Final = "seeded.json"


@dataclass(frozen=True, slots=True)
class Card:
    """A provider's card: a line for the banner, whether calls should pass, and its revision."""

    note: str
    provider: str
    enabled: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Seeder:
    """Talks to the control plane at `url` as the platform and as the org's owner."""

    url: str
    platform_token: Secret
    owner_token: Secret
    data: DataDir

    async def seed(self, wanted: Sequence[Wanted], node: dict[str, str] | None) -> list[Card]:
        """Set everything up; give each provider's resulting card.

        `node` is the body of `PUT /nodes/{node}`, in header mode. Raises `UserError`.
        """
        async with httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", timeout=REQUEST_SECONDS, trust_env=False
        ) as client:
            as_platform = {"authorization": f"Bearer {self.platform_token.reveal()}"}
            as_owner = {"authorization": f"Bearer {self.owner_token.reveal()}"}
            if not (await client.get(f"/orgs/{ORG}", headers=as_owner)).is_success:
                await _put(client, f"/orgs/{ORG}", {"name": "Demo"}, as_platform)
                for email, role in ((OWNER, "owner"), (MEMBER, "member")):
                    await _put(client, f"/orgs/{ORG}/members/{email}", {"role": role}, as_platform)
            if node is not None:
                await _put(client, f"/nodes/{NODE}", node, as_platform)
            return [await self._integrate(client, one, as_owner) for one in wanted]

    async def _integrate(self, client: httpx.AsyncClient, wanted: Wanted, head: dict[str, str]) -> Card:
        path = f"/orgs/{ORG}/ai-integrations/{wanted.provider}"
        answer = _checked(await client.get(path, headers=head))
        now = answer.json()
        if not self._may_set(wanted, now):
            return _card(now, "as it was left")
        if now["state"] == "enabled" and now["endpoint"] == wanted.endpoint and wanted.is_demo:
            return _card(now, "the demo provider")
        body = {"api_key": wanted.key.reveal(), "endpoint": wanted.endpoint, "enabled": True}
        now = (await _put(client, path, body, head | {"if-match": answer.headers["etag"]})).json()
        if not wanted.is_demo:
            return _card(now, "by the key file")
        self._remember(wanted)
        return _card(now, "the demo provider, no key needed")

    def _may_set(self, wanted: Wanted, now: dict[str, Any]) -> bool:
        """Tell whether the present setting is this program's own, or overruled by the user's options."""
        if not wanted.is_demo:
            return True
        before = self._memory().get(wanted.provider)
        if before is None:
            return bool(now["state"] == "not_set_up")
        return bool(now["state"] == "enabled" and now["endpoint"] == before)

    def _memory(self) -> dict[str, str]:
        """Give the demo endpoint of the last set-up here, by provider."""
        try:
            memory = json.loads(self.data.kept(_MEMORY_FILE, lambda: "{}"))
        except ValueError:
            memory = None
        if not isinstance(memory, dict):
            path = self.data.root / _MEMORY_FILE
            raise UserError(f"{path} is damaged. Remove it: the cards are then left as they are.")
        return memory

    def _remember(self, wanted: Wanted) -> None:
        memory = self._memory() | {wanted.provider: wanted.endpoint}
        write_private(self.data.root / _MEMORY_FILE, json.dumps(memory).encode())


def _card(now: dict[str, Any], why: str) -> Card:
    state = str(now["state"]).replace("_", " ")
    where = f", {now['endpoint']}" if now["state"] != "not_set_up" else ""
    note = f"{now['provider']:<15}{state}{where}, {why}"
    return Card(note, now["provider"], now["state"] == "enabled", now["revision"])


async def _put(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], head: dict[str, str]
) -> httpx.Response:
    return _checked(await client.put(path, json=body, headers=head))


def _checked(answer: httpx.Response) -> httpx.Response:
    """Give the answer back, or raise `UserError` with the control plane's own words for a refusal."""
    if answer.is_success:
        return answer
    what = f"{answer.request.method} {answer.request.url.path}"
    try:
        reason = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        reason = answer.reason_phrase
    raise UserError(f"The control plane refused {what} ({answer.status_code}): {reason}")
