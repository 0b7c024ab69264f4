"""Boxes of many orgs, as seen by the data planes: a single HTTP client, and a token for each box."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx

from aigw.node_key import NodeKey
from shared.box_token import MAX_LIFE_SECONDS
from shared.clock import unix_now
from tests.support.servers.fleet import KID, Plane

TOKEN_USE_SECONDS: Final = 120.0
"""A token is used for less than its lifetime, so that none runs out under way."""
PATIENCE_SECONDS: Final = 60.0
MAX_CONNECTIONS: Final = 600


@dataclass(slots=True)
class Boxes:
    """`async with Boxes(node_key) as boxes`; `ask` is a request of a box to a data plane."""

    node_key: NodeKey
    _tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(
            trust_env=False,
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=100),
        )
    )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    def headers(self, org: str, box: str = "box-1") -> dict[str, str]:
        """The headers of a trusted proxy about a box."""
        now = unix_now()
        made_at, token = self._tokens.get((org, box), (0.0, ""))
        if now - made_at > TOKEN_USE_SECONDS:
            token = self.node_key.mint(
                KID, box=box, org=org, lifecycle="1", now=now, life_seconds=MAX_LIFE_SECONDS
            )
            self._tokens[org, box] = now, token
        return {"x-run9-box-token": token}

    async def ask(self, plane: Plane, org: str, box: str = "box-1") -> str:
        """Call the provider once; give the label of the key at the provider, or the gateway's error code."""
        answer = await self.client.get(f"{base_url(plane)}/models", headers=self.headers(org, box))
        return outcome_of(answer)


def base_url(plane: Plane) -> str:
    """The base URL of OpenAI for boxes of `plane`."""
    return f"http://127.0.0.1:{plane.outer_port}/run9/ai/openai/v1"


def outcome_of(answer: httpx.Response) -> str:
    """Give the label in the provider's answer, or the gateway's error code."""
    if answer.is_success:
        seen: dict[str, Any] = answer.json()
        return str(seen["key"])
    return str(answer.headers.get("x-run9-error") or f"status {answer.status_code}")
