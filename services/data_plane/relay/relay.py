"""The relay as a whole: what its connections share, who is inside, and how it is cut, drained and closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.relay.box_connection import BoxConnection
from services.data_plane.relay.dial import Dialer
from services.data_plane.relay.hand_over import UvicornParts
from services.data_plane.relay.pool import Pool
from services.data_plane.relay.resolver import Resolver
from shared.rejections import Rejection
from shared.tasks import TaskSet

if TYPE_CHECKING:
    import ssl

    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.exchange import Exchange
    from services.data_plane.relay.ports import Account, Identity, Table
    from shared.addresses import AddressPolicy
    from shared.box_token import Box
    from shared.clock import Clock
    from shared.listener import ProtocolFactory
    from shared.providers import ProviderName

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.5


class Relay:
    """Made once per process; `protocol_factory` is what the box listener serves with."""

    def __init__(
        self,
        *,
        identity: Identity,
        table: Table,
        account: Account,
        limits: RelayLimits,
        address_policy: AddressPolicy,
        allow_plain_http: bool,
        box_authorities: frozenset[bytes],
        tls_context: ssl.SSLContext,
        clock: Clock,
    ) -> None:
        self.identity = identity
        self.table = table
        self.account = account
        self.limits = limits
        self.authorities = box_authorities
        self.clock = clock
        self.tasks = TaskSet()
        self.connections: set[BoxConnection] = set()
        self.pool = Pool(
            Dialer(
                Resolver(address_policy),
                tls_context,
                limits.connect_seconds,
                allow_plain_http=allow_plain_http,
            ),
            limits,
        )
        self._exchanges: defaultdict[tuple[str, str], set[Exchange]] = defaultdict(set)
        self._open_by_org: defaultdict[str, int] = defaultdict(int)
        self._open_by_box: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._connections_by_box: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._sweeper: asyncio.TimerHandle | None = None

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that everything of this relay runs on."""
        return asyncio.get_running_loop()

    @property
    def open_exchanges(self) -> int:
        """How many requests are under way."""
        return sum(self._open_by_org.values())

    @property
    def protocol_factory(self) -> ProtocolFactory:
        """What uvicorn's `http=` takes."""

        def make(**parts: Any) -> BoxConnection:  # uvicorn's four arguments
            if self._sweeper is None:
                self._sweep()
            return BoxConnection(self, UvicornParts(**parts))

        return make

    # Admission by numbers.

    def check_room(self, connection: BoxConnection, box: Box) -> None:
        """Raise `Refused` when the box or its org has too much open; books the connection on its box."""
        key = (box.org, box.box)
        limits = self.limits
        if connection.box_key != key:
            self._unbook(connection)
            if self._connections_by_box[key] >= limits.max_connections_per_box:
                raise Refused(
                    Rejection.OVERLOADED, f"{limits.max_connections_per_box} connections of one box"
                )
            connection.box_key = key
            self._connections_by_box[key] += 1
        if self._open_by_box.get(key, 0) >= limits.max_requests_per_box:
            raise Refused(Rejection.OVERLOADED, f"{limits.max_requests_per_box} requests of one box")
        if self._open_by_org.get(box.org, 0) >= limits.max_requests_per_org:
            raise Refused(Rejection.OVERLOADED, f"{limits.max_requests_per_org} requests of one organization")

    def enter(self, exchange: Exchange) -> None:
        """An exchange begins."""
        record = exchange.record
        self._exchanges[record.org, record.provider].add(exchange)
        self._open_by_org[record.org] += 1
        self._open_by_box[record.org, record.box] += 1

    def leave(self, exchange: Exchange) -> None:
        """An exchange is over: book it."""
        record = exchange.record
        _remove(self._exchanges, (record.org, record.provider), exchange)
        _decrease(self._open_by_org, record.org)
        _decrease(self._open_by_box, (record.org, record.box))
        self.account.finished(record)

    def forget_connection(self, connection: BoxConnection) -> None:
        """A box connection is gone."""
        self.connections.discard(connection)
        self._unbook(connection)

    def _unbook(self, connection: BoxConnection) -> None:
        if connection.box_key is not None:
            _decrease(self._connections_by_box, connection.box_key)
            connection.box_key = None

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
            for exchange in list(self._exchanges.get((org, provider), ())):
                exchange.cut(refused)
        providers: tuple[ProviderName, ...] = ("openai", "anthropic")
        current = [self.table.look_up(org, name) for name in providers]
        keep = frozenset(one.pool_key for one in current if isinstance(one, CompiledIntegration))
        self.pool.drain(org, keep=keep)

    # Time.

    def _sweep(self) -> None:
        """Look at every deadline. One timer for all: a timer for each would cost each request."""
        now = self.loop.time()
        for connection in list(self.connections):
            try:
                connection.check_deadline(now)
            except Exception:
                logger.exception("a deadline could not be enforced")
        self.pool.close_unused(now)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    async def aclose(self) -> None:
        """End everything that is still open. The listener has drained before."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.break_off()
        await self.tasks.aclose()
        self.pool.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # one turn of the loop, in which the transports close


def _remove(table: defaultdict[Any, set[Any]], key: object, item: object) -> None:
    table[key].discard(item)
    if not table[key]:
        del table[key]


def _decrease(table: defaultdict[Any, int], key: object) -> None:
    table[key] -= 1
    if not table[key]:
        del table[key]
