"""Idle upstream connections, shared within an (org, endpoint) and never beyond.

Decides which connection is used, kept or closed; opening is the dialer's work, and the bytes are the
exchange's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.data_plane.core.refused import Refused
from services.data_plane.relay.upstream.connection import ConnectionKeeper, PoolKey, UpstreamConnection
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.response_templates import TemplateStore
    from services.data_plane.relay.upstream.dial import Dialer
    from services.data_plane.relay.wire.write_batch import WriteBatch


class Pool(ConnectionKeeper):
    """Keeps idle connections, the most recently used on top, within the limits.

    Attributes:
        on_lost: is told of every ended connection, idle or not.
    """

    def __init__(
        self, dialer: Dialer, limits: RelayLimits, batch: WriteBatch, templates: TemplateStore
    ) -> None:
        self._dialer = dialer
        self._limits = limits
        self._batch = batch
        self._templates = templates
        self.on_lost: Callable[[UpstreamConnection], None] | None = None
        self._open: set[UpstreamConnection] = set()
        self._idle: dict[PoolKey, deque[UpstreamConnection]] = {}
        # Every idle connection in the order in which it became idle: the first is the first to go.
        self._by_age: OrderedDict[UpstreamConnection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_age)

    @property
    def open_connections(self) -> int:
        """How many connections are open, busy or idle."""
        return len(self._open)

    def idle_count(self, key: PoolKey) -> int:
        """How many idle connections there are to an endpoint."""
        return len(self._idle.get(key, ()))

    def take(self, integration: CompiledIntegration) -> UpstreamConnection | None:
        """Give a usable idle connection, or None."""
        stack = self._idle.get(integration.pool_key)
        while stack:
            connection = stack.pop()
            del self._by_age[connection]
            if connection.usable:
                return connection
        return None

    async def connect(self, integration: CompiledIntegration) -> UpstreamConnection:
        """Open a new usable connection; raises `Refused`."""
        expires_at = asyncio.get_running_loop().time() + self._limits.upstream_life_seconds
        key = integration.pool_key
        templates = self._templates.endpoint(key)
        connection = await self._dialer.dial(
            integration.endpoint,
            lambda: UpstreamConnection(self, key, self._limits, self._batch, expires_at, templates),
        )
        if not connection.usable:
            # A server that is too busy says so at once, or hangs up. What it says is no request's answer.
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "it ended the connection before it was asked")
        self._open.add(connection)
        return connection

    def put_back(self, connection: UpstreamConnection, now: float) -> None:
        """Keep the connection of a finished exchange, or close an old or excess connection."""
        if not connection.usable or now >= connection.expires_at:
            connection.close()
            return
        stack = self._idle.get(connection.pool_key)
        if stack is None:
            stack = self._idle[connection.pool_key] = deque()
        if len(stack) >= self._limits.max_idle_upstreams_per_endpoint:
            connection.close()
            return
        connection.used = True
        connection.idle_since = now
        stack.append(connection)
        self._by_age[connection] = None
        if len(self._by_age) > self._limits.max_idle_upstreams:
            self._close_idle(next(iter(self._by_age)))

    def lost(self, connection: UpstreamConnection) -> None:
        """Take note of an ended connection. Called once for each."""
        self.discard(connection)
        self._open.discard(connection)
        if self.on_lost is not None:
            self.on_lost(connection)

    def discard(self, connection: UpstreamConnection) -> None:
        """Forget a useless connection; harmless for a connection that was not idle."""
        stack = self._idle.get(connection.pool_key)
        if stack is None:
            return
        if connection in self._by_age:
            del self._by_age[connection]
            stack.remove(connection)
        if not stack:
            # `take` leaves an empty one: its last connection mostly comes back. Here that one has ended.
            del self._idle[connection.pool_key]

    def close_unused(self, now: float) -> None:
        """Close every connection idle for too long. Called every second or so."""
        while self._by_age:
            oldest = next(iter(self._by_age))
            if now - oldest.idle_since < self._limits.upstream_idle_seconds:
                return
            self._close_idle(oldest)

    def drain(self, org: str, *, keep: frozenset[PoolKey]) -> None:
        """Close the idle connections of an org, except to the endpoints in `keep`."""
        for key in [key for key in self._idle if key[0] == org and key not in keep]:
            for connection in list(self._idle[key]):
                self._close_idle(connection)

    def close(self) -> None:
        """Close all."""
        for connection in list(self._by_age):
            self._close_idle(connection)

    def _close_idle(self, connection: UpstreamConnection) -> None:
        self.discard(connection)
        connection.close()
