"""The parts shared by all connections of a relay: configuration, pool, limits, books and clock.

Made once by the relay. Each connection and exchange is given this value and nothing of the relay itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

from services.data_plane.core.header_rules import REQUEST_FIELDS, REQUEST_FIELDS_WITH_TRACE_CONTEXT
from services.data_plane.core.integration import CompiledIntegration, NotReady, refused_because
from services.data_plane.core.refused import Refused
from services.data_plane.relay.connection_limits import ConnectionLimits
from services.data_plane.relay.wire.hang_up_watch import HangUpWatch
from services.data_plane.relay.wire.write_batch import WriteBatch
from shared.endpoint import parse_endpoint
from shared.providers import PROVIDERS
from shared.rejections import Place, Rejection
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.key_scan import KeySearch
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.core.route import Routes
    from services.data_plane.relay.ports import Account, Table
    from services.data_plane.relay.upstream.connection import UpstreamConnection
    from services.data_plane.relay.upstream.pool import Pool
    from shared.clock import Clock
    from shared.providers import Provider, ProviderName

logger = logging.getLogger(__name__)


class RelayParts:
    """The shared parts.

    Attributes:
        authorities: under which boxes may ask, in lower case.
        draining: whether the process ends; WebSockets then end between two turns.
        now: the event loop's time, without the call around.
        portal: the address of the Portal; empty where the operator has set none.
        request_fields: which header lines of a request pass to the provider.
        usage_tap: whether responses are searched for their tokens.
    """

    def __init__(
        self,
        *,
        table: Table,
        routes: Routes,
        account: Account,
        limits: RelayLimits,
        authorities: frozenset[bytes],
        clock: Clock,
        batch: WriteBatch,
        pool: Pool,
        usage_tap: bool,
        portal: str = "",
        forward_trace_context: bool = False,
    ) -> None:
        self.table = table
        self.routes = routes
        self.account = account
        self.limits = limits
        self.authorities = authorities
        self.clock = clock
        self.batch = batch
        self.pool = pool
        self.usage_tap = usage_tap
        self.portal = portal
        self.request_fields = REQUEST_FIELDS_WITH_TRACE_CONTEXT if forward_trace_context else REQUEST_FIELDS
        self.loop = asyncio.get_running_loop()
        self.now = time.monotonic
        self.tasks = TaskSet()
        self.draining = False
        self.hang_up_watch = HangUpWatch()
        self.connection_limits = ConnectionLimits(limits)

    def place_of(self, org: str, provider: Provider, integration: CompiledIntegration | None) -> Place:
        """Give the names for the sentence of a rejection: the Portal, and the present endpoint.

        `integration` is the exchange's, if any.
        """
        found = integration or self.table.look_up(org, provider.name)
        if not isinstance(found, CompiledIntegration):
            return Place(self.portal)
        endpoint = found.endpoint
        return Place(self.portal, endpoint.authority, endpoint == parse_endpoint(provider.default_endpoint))

    def key_of(self, record: ExchangeRecord) -> KeySearch | None:
        """Give the search for the key of a request without an integration; None where no key is here."""
        provider = next((name for name in PROVIDERS if name == record.provider), None)
        if not record.org or provider is None:
            return None
        found = self.table.look_up(record.org, provider)
        return found.key_search if isinstance(found, CompiledIntegration) else None

    async def bring_connection(
        self,
        record: ExchangeRecord,
        provider: ProviderName,
        found: CompiledIntegration | NotReady,
        *,
        fresh: bool,
    ) -> tuple[CompiledIntegration, UpstreamConnection]:
        """Bring the secret and a connection, by the configuration at the time of the connection.

        Nothing is sent.

        Args:
            record: of the exchange, which says whose integration, and takes the time for a new connection.
            provider: to which.
            found: the table's latest answer.
            fresh: a pooled connection has failed, so a new connection is wanted.

        Raises:
            Refused: the integration is missing, disabled or cannot be loaded, or its provider not reached.
        """
        try:
            return await self._bring_connection(record, provider, found, fresh=fresh)
        except Refused:
            raise
        except Exception:
            # A fault of ours must not leave the box waiting for ever.
            logger.exception("an exchange could not be prepared")
            raise Refused(Rejection.CONFIG_UNAVAILABLE, "an internal fault of the gateway") from None

    async def _bring_connection(
        self,
        record: ExchangeRecord,
        provider: ProviderName,
        found: CompiledIntegration | NotReady,
        *,
        fresh: bool,
    ) -> tuple[CompiledIntegration, UpstreamConnection]:
        org = record.org
        while True:
            integration = found if isinstance(found, CompiledIntegration) else await self._load(org, provider)
            if not fresh and (upstream := self.pool.take(integration)) is not None:
                return integration, upstream
            began = self.now()
            upstream = await self.pool.connect(integration)
            record.seconds_to_connect += self.now() - began
            found = self.table.look_up(org, provider)
            if isinstance(found, CompiledIntegration) and found.pool_key == integration.pool_key:
                return found, upstream
            upstream.close()

    async def _load(self, org: str, provider: ProviderName) -> CompiledIntegration:
        await self.table.load(org, provider)
        found = self.table.look_up(org, provider)
        if isinstance(found, CompiledIntegration):
            return found
        raise refused_because(found)


def new_request_id() -> str:
    """Make an id for a response of the gateway's own."""
    return "req_" + os.urandom(12).hex()
