"""The relay as a whole: what its connections share, who is inside, and how it is cut, drained and closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final, cast

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.relay.box_connection import BoxConnection
from services.data_plane.relay.dial import Dialer
from services.data_plane.relay.hand_over import UvicornParts
from services.data_plane.relay.leave_watch import LeaveWatch
from services.data_plane.relay.pool import Pool
from services.data_plane.relay.room import Room
from services.data_plane.relay.warm import Warmer
from services.data_plane.relay.write_batch import WriteBatch
from shared.endpoint import parse_endpoint
from shared.providers import PROVIDERS
from shared.rejections import Place, Rejection
from shared.tasks import TaskSet

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.route import Routes
    from services.data_plane.relay.egress import Egress
    from services.data_plane.relay.exchange import Exchange
    from services.data_plane.relay.pool import PoolKey
    from services.data_plane.relay.ports import Account, Identity, Table
    from shared.box_token import Box
    from shared.clock import Clock
    from shared.listener import ProtocolFactory
    from shared.providers import Provider, ProviderName

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.5


class Relay:
    """Made once per process, in its event loop; `protocol_factory` is what a box listener serves with."""

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
    ) -> None:
        self.table = table
        self.routes = routes
        self.account = account
        self.limits = limits
        self.authorities = box_authorities
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.now = time.monotonic  # what asyncio's loops give as their time, without the call around it
        self.usage_tap = usage_tap
        self.portal = portal
        self.tasks = TaskSet()
        self.connections: set[BoxConnection] = set()
        self.batch = WriteBatch()
        self.leave_watch = LeaveWatch()
        self.pool = Pool(
            Dialer(
                egress,
                tls_context,
                limits.connect_seconds,
                allow_plain_http=allow_plain_http,
            ),
            limits,
            self.batch,
        )
        self.warmer = Warmer(self.pool, self._integration_of, limits)
        self.pool.on_lost = self.warmer.lost
        self.room = Room(limits)
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def open_exchanges(self) -> int:
        """How many requests are under way."""
        return self.room.open_exchanges

    def protocol_factory(self, identity: Identity) -> ProtocolFactory:
        """Give what uvicorn's `http=` takes, for a listener whose requests are told by `identity`."""

        def make(**parts: Any) -> asyncio.Protocol:  # uvicorn's four arguments
            return self.connection(UvicornParts(**parts), identity)

        return make

    def connection(self, parts: UvicornParts, identity: Identity, box: Box | None = None) -> asyncio.Protocol:
        """Make the protocol of one box connection; `box` where the connection itself has proved one."""
        if self._sweeper is None:
            self._sweep()
        # A protocol by its methods, which is all that event loops ask for (docs/adr/0014).
        return cast("asyncio.Protocol", BoxConnection(self, parts, identity, box))

    def leave(self, exchange: Exchange) -> None:
        """An exchange is over: book it."""
        self.room.leave(exchange.load, exchange)
        self.account.finished(exchange.record, exchange.tapped)

    def book_refusal(self, refused: Refused, provider: Provider | None, record: ExchangeRecord) -> None:
        """Book a request that never became an exchange, and give it the gateway's own id."""
        record.provider = provider.name if provider else ""
        record.status, record.code = refused.rejection.status, refused.rejection.code
        record.request_id = self.new_request_id()
        self.account.finished(record)

    def book_warm_up(self, record: ExchangeRecord) -> None:
        """Book a request that the gateway has answered itself because all is well."""
        record.status, record.outcome = 200, "answered"
        self.account.finished(record)

    def forget_connection(self, connection: BoxConnection) -> None:
        """A box connection is gone."""
        self.connections.discard(connection)
        self.room.strangers.known(connection.transport)
        if connection.load is not None:
            self.room.release_connection(connection.load, connection.transport)
            connection.load = None

    def place_of(self, exchange: Exchange | None) -> Place:
        """Give what the sentence of a rejection may name: the Portal, and the endpoint of the exchange."""
        if exchange is None:
            return Place(self.portal)
        provider = exchange.memo.route.provider
        integration = exchange.integration or self.table.look_up(exchange.record.org, provider.name)
        if not isinstance(integration, CompiledIntegration):
            return Place(self.portal)
        endpoint = integration.endpoint
        is_own = endpoint == parse_endpoint(provider.default_endpoint)
        return Place(self.portal, endpoint.authority, is_own)

    def new_request_id(self) -> str:
        """Make an id for an answer of the gateway's own."""
        return "req_" + os.urandom(12).hex()

    # Configuration changes.

    def config_changed(self, org: str, provider: ProviderName) -> None:
        """Cut what is no longer allowed, and stop using connections to an endpoint that is no longer set."""
        found = self.table.look_up(org, provider)
        if found is NotReady.DISABLED or found is NotReady.MISSING:
            missing = found is NotReady.MISSING
            refused = Refused(Rejection.INTEGRATION_MISSING if missing else Rejection.INTEGRATION_DISABLED)
            for exchange in self.room.exchanges_of(org):
                if exchange.record.provider == provider:
                    self._cut(exchange, refused)
        self.pool.drain(org, keep=frozenset(one.pool_key for one in self._integrations_of(org)))

    def revoke(self, is_revoked: Callable[[Box], bool], why: str) -> None:
        """End the connections of boxes that may not call any more: exchanges, WebSockets and idle ones."""
        refused = Refused(Rejection.BOX_IDENTITY_REQUIRED, why)
        for connection in list(self.connections):
            if connection.box is not None and is_revoked(connection.box):
                try:
                    connection.revoke(refused)
                except Exception:
                    logger.exception("a revoked connection could not be ended")

    def _integrations_of(self, org: str) -> list[CompiledIntegration]:
        found = [self.table.look_up(org, name) for name in PROVIDERS]
        return [one for one in found if isinstance(one, CompiledIntegration)]

    def _integration_of(self, key: PoolKey) -> CompiledIntegration | None:
        """Whose connections are pooled under `key` now; None when nothing may be sent there any more."""
        return next((one for one in self._integrations_of(key[0]) if one.pool_key == key), None)

    def _cut(self, exchange: Exchange, refused: Refused) -> None:
        """One exchange that cannot be ended must not keep the others, nor whoever brought the change."""
        try:
            exchange.cut(refused)
        except Exception:
            logger.exception("an exchange could not be cut")

    # Time.

    def _sweep(self) -> None:
        """Look at every deadline. One timer for all: a timer for each would cost each request."""
        now, unix_seconds = self.now(), self.clock()
        for connection in list(self.connections):
            try:
                connection.check_deadline(now)
                connection.check_token(unix_seconds)
            except Exception:
                logger.exception("a deadline could not be enforced")
        self.room.strangers.make_room(now)
        self.pool.close_unused(now)
        self.warmer.open_due(now)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    async def aclose(self) -> None:
        """End everything that is still open. The listener has drained before."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        stopping = Refused(Rejection.CONFIG_UNAVAILABLE, "this gateway process is stopping")
        for exchange in self.room.all_exchanges():
            self._cut(exchange, stopping)
        for connection in list(self.connections):
            connection.break_off()
        await self.tasks.aclose()
        await self.warmer.aclose()
        self.pool.close()
        self.leave_watch.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # one turn of the loop, in which the transports close
