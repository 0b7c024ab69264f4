"""The relay as a whole: composes its parts, sweeps deadlines, and aborts, revokes, drains and closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.box.hand_over import UvicornParts
from services.data_plane.relay.parts import RelayParts
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.upstream.prewarm import Prewarmer
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.providers import PROVIDERS
from shared.rejections import Rejection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.route import Routes
    from services.data_plane.relay.connection_limits import CountedConnection
    from services.data_plane.relay.ports import Account, Identity, Table
    from services.data_plane.relay.upstream.connection import PoolKey
    from services.data_plane.relay.upstream.egress import Egress
    from shared.box_token import Box
    from shared.clock import Clock
    from shared.listener import ProtocolFactory
    from shared.providers import ProviderName

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.5


class Relay:
    """Made once per process, in its event loop; `protocol_factory` is the protocol of the box listeners."""

    def __init__(
        self,
        *,
        table: Table,
        routes: Routes,
        account: Account,
        limits: RelayLimits,
        egress: Egress,
        allow_plain_http: bool,
        box_authorities: frozenset[bytes],
        tls_context: ssl.SSLContext,
        clock: Clock,
        usage_tap: bool = False,
        portal: str = "",
        forward_trace_context: bool = False,
    ) -> None:
        batch = WriteBatch()
        dialer = Dialer(egress, tls_context, limits.connect_seconds, allow_plain_http=allow_plain_http)
        pool = Pool(dialer, limits, batch, TemplateStore())
        self.prewarmer = Prewarmer(pool, self._integration_of, limits)
        pool.on_lost = self.prewarmer.lost
        self.parts = RelayParts(
            table=table,
            routes=routes,
            account=account,
            limits=limits,
            authorities=box_authorities,
            clock=clock,
            batch=batch,
            pool=pool,
            usage_tap=usage_tap,
            portal=portal,
            forward_trace_context=forward_trace_context,
        )
        self.connection_limits = self.parts.connection_limits
        self._sweeper: asyncio.TimerHandle | None = None
        self._failing: set[object] = set()  # of the last sweep: steps, and connections

    @property
    def open_exchanges(self) -> int:
        """How many requests are under way."""
        return self.connection_limits.open_exchanges

    def protocol_factory(self, identity: Identity) -> ProtocolFactory:
        """Give the argument for uvicorn's `http=`, for a listener with the identity mode `identity`."""

        def make(**parts: Any) -> asyncio.Protocol:  # uvicorn's four arguments
            return self.connection(UvicornParts(**parts), identity)

        return make

    def connection(self, parts: UvicornParts, identity: Identity, box: Box | None = None) -> asyncio.Protocol:
        """Make the protocol of a box connection; `box` where the connection itself has proved a box."""
        if self._sweeper is None:
            self._sweep()
        self.connection_limits.count_listener(parts.server_state.connections)
        # A protocol by its methods, which is all that event loops ask for (docs/adr/0014).
        return cast("asyncio.Protocol", BoxConnection(self.parts, parts, identity, box))

    # Configuration changes.

    def config_changed(self, org: str, provider: ProviderName) -> None:
        """Abort forbidden exchanges, and close connections to a former endpoint."""
        found = self.parts.table.look_up(org, provider)
        if found is NotReady.DISABLED or found is NotReady.MISSING:
            missing = found is NotReady.MISSING
            refused = Refused(Rejection.INTEGRATION_MISSING if missing else Rejection.INTEGRATION_DISABLED)
            for connection in self.connection_limits.busy_of(org):
                self._abort(connection, refused, provider)
        self.parts.pool.drain(org, keep=frozenset(one.pool_key for one in self._integrations_of(org)))

    def revoke(self, is_revoked: Callable[[Box], bool], why: str) -> None:
        """End the connections of revoked boxes: exchanges, WebSockets and idle ones."""
        refused = Refused(Rejection.BOX_IDENTITY_REQUIRED, why)
        for connection in list(self.connection_limits.connections):
            if connection.box is not None and is_revoked(connection.box):
                try:
                    connection.revoke(refused)
                except Exception:
                    logger.exception("a revoked connection could not be ended")

    def _integrations_of(self, org: str) -> list[CompiledIntegration]:
        found = [self.parts.table.look_up(org, name) for name in PROVIDERS]
        return [one for one in found if isinstance(one, CompiledIntegration)]

    def _integration_of(self, key: PoolKey) -> CompiledIntegration | None:
        """Whose connections are pooled under `key` now; None when nothing may be sent there any more."""
        return next((one for one in self._integrations_of(key[0]) if one.pool_key == key), None)

    def _abort(self, connection: CountedConnection, refused: Refused, provider: str = "") -> None:
        """Abort an exchange. A failure must not keep the others, nor whoever brought the change."""
        try:
            connection.abort_exchange(refused, provider)
        except Exception:
            logger.exception("an exchange could not be aborted")

    # Time.

    def _sweep(self) -> None:
        """Look at every deadline. A common timer for all: a timer for each would cost each request.

        A step that fails keeps no other step from its work, and is logged once until a sweep without its
        failure.
        """
        now, unix_seconds, failing = self.parts.now(), self.parts.clock(), set[object]()
        for connection in list(self.connection_limits.connections):
            try:
                connection.check_deadlines(now, unix_seconds)
            except Exception:
                failing.add(connection)
                if connection not in self._failing:
                    logger.exception("a deadline could not be enforced")
        for name, step in (
            ("unidentified connections", self.connection_limits.unidentified.displace_oldest),
            ("unused upstream connections", self.parts.pool.close_unused),
            ("upstream connections ahead of requests", self.prewarmer.open_due),
            ("connections at a cap", self._log_caps),
        ):
            try:
                step(now)
            except Exception:
                failing.add(name)
                if name not in self._failing:
                    logger.exception("the sweep of %s failed", name)
        self._failing = failing
        self._sweeper = self.parts.loop.call_later(SWEEP_SECONDS, self._sweep)

    def _log_caps(self, _now: float) -> None:
        self.connection_limits.cap_log.log()

    async def aclose(self) -> None:
        """End everything still open. The listener has drained before."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        stopping = Refused(Rejection.CONFIG_UNAVAILABLE, "this gateway process is stopping")
        for connection in self.connection_limits.busy():
            self._abort(connection, stopping)
        for connection in list(self.connection_limits.connections):
            connection.break_off()
        await self.parts.tasks.aclose()
        await self.prewarmer.aclose()
        self.parts.pool.close()
        self.parts.hang_up_watch.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # one turn of the loop, in which the transports close
