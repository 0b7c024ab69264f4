"""Health checks: each target's `/readyz` is asked at intervals, so that a draining process gets no box."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import httpx

from services.node_agent.relay.targets import look_up
from services.node_agent.rules.target import Condition
from shared.backoff import jittered

if TYPE_CHECKING:
    from services.node_agent.relay.targets import KnownTarget

CHECK_SECONDS: Final = 2.0
"""A check without an answer by then has failed."""

_JITTER: Final = 0.2
_DRAINING_STATUS: Final = 503


class HealthCheck:
    """Checks a single target for ever. `interval_seconds` between two checks, give or take 20 %."""

    def __init__(
        self,
        known: KnownTarget,
        client: httpx.AsyncClient,
        *,
        interval_seconds: float,
        random: Callable[[], float],
    ) -> None:
        self.known = known
        self._client = client
        self._interval_seconds = interval_seconds
        self._random = random

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self.known.stands(await self.check())
            await asyncio.sleep(jittered(self._interval_seconds, _JITTER, self._random()))

    async def check(self) -> Condition:
        """Look up the target's name again and report the target's condition."""
        target = self.known.target
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                if target.transport != "unix":
                    self.known.address = await look_up(target)
                if target.health_url:
                    return await self._ask(target.health_url)
                return await self._knock()
        except (OSError, TimeoutError, httpx.HTTPError):
            return Condition.UNREACHABLE

    async def _ask(self, url: str) -> Condition:
        answer = await self._client.get(url)
        if answer.is_success:
            return Condition.READY
        return Condition.DRAINING if answer.status_code == _DRAINING_STATUS else Condition.UNREACHABLE

    async def _knock(self) -> Condition:
        """Connect, and say nothing."""
        target = self.known.target
        family = socket.AF_UNIX
        place: str | tuple[str, int] = target.path
        if self.known.address is not None:
            place = self.known.address
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as made:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, place)
        return Condition.READY
