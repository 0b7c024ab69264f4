"""Whether the set-up is enforced yet: asks the data plane's own listeners, as an operator would."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from aigw.failures import UserError
from aigw.node_key import NodeKey
from shared.clock import unix_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aigw.embedded.ready_file import Ready
    from aigw.embedded.seed import Card

LIVE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_REQUEST_SECONDS: Final = 5.0
_TOKEN_LIFE_SECONDS: Final = 60
_REVISION: Final = re.compile(r"^aigw_config_revision ([0-9.e+]+)$", re.MULTILINE)


async def wait_until_live(ready: Ready, cards: Sequence[Card]) -> None:
    """Wait until the data plane enforces every card; raises `UserError` when this takes too long."""
    revision = max((card.revision for card in cards), default=0)
    enabled = {card.provider for card in cards if card.enabled}
    async with httpx.AsyncClient(timeout=_REQUEST_SECONDS, trust_env=False) as client:
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while not await _is_live(client, ready, revision, enabled):  # noqa: ASYNC110  # by HTTP
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise UserError(
                f"The data plane did not take the configuration in {LIVE_SECONDS:.0f} s; the log says why."
            ) from None


async def _is_live(client: httpx.AsyncClient, ready: Ready, revision: int, enabled: set[str]) -> bool:
    metrics = await client.get(f"{ready.admin_url}/metrics")
    applied = _REVISION.search(metrics.text)
    if applied is None or float(applied[1]) < revision:
        return False
    base_url = httpx.URL(next(iter(ready.base_urls.values())))
    status = await client.get(
        base_url.join("/run9/ai/"), headers={"accept": "application/json", **_identity(ready)}
    )
    if not status.is_success:
        return False
    on = {item["provider"] for item in status.json()["providers"] if item["state"] == "on"}
    return enabled <= on


def _identity(ready: Ready) -> dict[str, str]:
    """Give the header of this program's own identity as a box, where boxes must show an identity."""
    if ready.node_key_file is None or ready.node_kid is None:
        return {}
    token = NodeKey.read(Path(ready.node_key_file)).mint(
        ready.node_kid,
        box="aigw-up",
        org=ready.org,
        lifecycle="1",
        now=unix_now(),
        life_seconds=_TOKEN_LIFE_SECONDS,
    )
    return {"x-run9-box-token": token}
