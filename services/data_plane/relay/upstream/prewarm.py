"""Opens upstream connections ahead of the next request, where the last ones of a busy endpoint were lost.

Learns of use and loss from ending connections, so a request pays nothing: a connection carries the time of
its last use to its end, and missing connections are opened from the relay's timer. The choice of a request's
connection stays with the pool, and opening with the dialer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.refused import Refused
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.upstream.connection import PoolKey, UpstreamConnection
    from services.data_plane.relay.upstream.pool import Pool

MAX_WARM_DIALS: Final = 8
"""Under way at once, of all organizations: a returning provider must not be stormed."""
MAX_WANTED_KEYS: Final = 4096
FIRST_WAIT_SECONDS: Final = 1.0
MAX_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Want:
    """A missing connection, or a connection opened ahead.

    Attributes:
        last_use: when the endpoint's last request was over.
        waited_seconds: the wait of the previous attempt; 0 for the first.
        due: not to be dialled before.
    """

    last_use: float
    waited_seconds: float
    due: float

    def again(self, now: float) -> _Want:
        """Wait twice as long as before: the last connection was unused or unavailable."""
        wait = min(max(2 * self.waited_seconds, FIRST_WAIT_SECONDS), MAX_WAIT_SECONDS)
        return replace(self, waited_seconds=wait, due=now + wait)


class Prewarmer:
    """Keeps up to `warm_upstreams_per_endpoint` idle connections per recently used (org, endpoint).

    Args:
        pool: keeps the opened connections.
        integration_of: gives the present integration of a pool key; None when nothing may be sent there.
        limits: of the relay.

    Attributes:
        opened, used, failed: connections opened ahead, used connections among them (counted at their end),
            and failed attempts; ever.
    """

    def __init__(
        self,
        pool: Pool,
        integration_of: Callable[[PoolKey], CompiledIntegration | None],
        limits: RelayLimits,
    ) -> None:
        self.opened = self.used = self.failed = 0
        self._pool = pool
        self._integration_of = integration_of
        self._limits = limits
        self._tasks = TaskSet()
        self._wanted: dict[PoolKey, _Want] = {}
        self._dialling: set[PoolKey] = set()
        # What is open, and when it came into the pool: that time moves on when a request uses it.
        self._open: dict[UpstreamConnection, tuple[_Want, float]] = {}
        self._closed = not limits.warm_upstreams_per_endpoint

    def lost(self, connection: UpstreamConnection) -> None:
        """Take note of a connection ended for any reason."""
        if self._closed:
            return
        now, last_use = _now(), connection.idle_since
        want, pooled_at = self._open.pop(connection, (None, 0.0))
        if want is not None and last_use == pooled_at:
            self._want(connection.pool_key, want.again(now), now)
            return
        if want is not None:
            self.used += 1
        if last_use:
            self._want(connection.pool_key, _Want(last_use, 0.0, now), now)

    def open_due(self, now: float) -> None:
        """Dial the missing connections that are due. Called every second or so."""
        for key, want in list(self._wanted.items()):
            if len(self._tasks) >= MAX_WARM_DIALS:
                return
            if want.due > now or key in self._dialling:
                continue
            del self._wanted[key]
            integration = self._integration_of(key)
            if integration is not None and self._is_missing(key) and self._is_recent(want, now):
                self._dialling.add(key)
                self._tasks.start(self._dial(integration, want), "warm a connection")

    async def aclose(self) -> None:
        """Open no more."""
        self._closed = True
        self._wanted.clear()
        self._open.clear()
        await self._tasks.aclose()

    async def _dial(self, integration: CompiledIntegration, want: _Want) -> None:
        key = integration.pool_key
        try:
            connection = await self._pool.connect(integration)
        except Refused:
            connection = None
        finally:
            self._dialling.discard(key)
        now = _now()
        if connection is None:
            self.failed += 1
            self._want(key, want.again(now), now)
        elif self._integration_of(key) is None or not self._is_missing(key):
            connection.close()  # what is configured has changed meanwhile, or a request brought another one
        else:
            self.opened += 1
            self._pool.put_back(connection, now)
            self._open[connection] = want, connection.idle_since
            self._want(key, want, now)  # there may be room for one more

    def _want(self, key: PoolKey, want: _Want, now: float) -> None:
        known = self._wanted.get(key)
        if known is not None and known.last_use > want.last_use:
            return
        if self._is_recent(want, now) and self._is_missing(key) and len(self._wanted) < MAX_WANTED_KEYS:
            self._wanted[key] = want

    def _is_recent(self, want: _Want, now: float) -> bool:
        return now - want.last_use <= self._limits.warm_upstream_seconds

    def _is_missing(self, key: PoolKey) -> bool:
        limits, pool = self._limits, self._pool
        most = min(limits.warm_upstreams_per_endpoint, limits.max_idle_upstreams_per_endpoint)
        return pool.idle_count(key) < most and len(pool) < limits.max_idle_upstreams


def _now() -> float:
    return asyncio.get_running_loop().time()
