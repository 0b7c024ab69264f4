"""The parts of a relay without a socket: fake transports on both sides, a provider answering when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from uvicorn.server import ServerState

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.key_scan import KeySearch
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.core.usage.tap import Tapped
from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.box.hand_over import UvicornParts
from services.data_plane.relay.parts import RelayParts
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.wire.write_batch import WriteBatch
from services.data_plane.table.compile import compile_integration
from shared.box_token import Box
from shared.config_feed import IntegrationRow
from shared.endpoint import Endpoint
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.corpus.replay import ROUTES
from tests.unit.data_plane.relay.fake_transport import FakeTransport

KEY = "sk-org-key-0123456789abcdef"
INTEGRATION = compile_integration(
    IntegrationRow("acme", "openai", enabled=True, secret_version=1),
    SecretDocument("acme", "openai", "https://provider.example/v1", Secret(KEY)),
    allow_plain_http=False,
)


@dataclass
class FakeDialer(Dialer):
    """Connects at once, to a kept transport; or refuses."""

    connections: list[UpstreamConnection] = field(default_factory=list)
    transports: list[FakeTransport] = field(default_factory=list)
    refusal: Refused | None = None

    async def dial(
        self,
        endpoint: Endpoint,  # noqa: ARG002  # nothing is really dialled
        factory: Callable[[], UpstreamConnection],
    ) -> UpstreamConnection:
        if self.refusal is not None:
            raise self.refusal
        connection, transport = factory(), FakeTransport()
        connection.connection_made(transport)
        self.connections.append(connection)
        self.transports.append(transport)
        return connection


@dataclass
class HeldTable:
    """The same answer for everybody."""

    found: CompiledIntegration | NotReady = INTEGRATION

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:  # noqa: ARG002  # the port's signature
        return self.found

    async def load(self, org: str, provider: ProviderName) -> None:  # noqa: ARG002  # same
        return


@dataclass
class HeldBooks:
    """Keeps every record."""

    records: list[ExchangeRecord] = field(default_factory=list)
    tapped: list[Tapped | None] = field(default_factory=list)
    keys: list[KeySearch | None] = field(default_factory=list)

    def finished(
        self, record: ExchangeRecord, tapped: Tapped | None = None, key: KeySearch | None = None
    ) -> None:
        self.keys.append(key)
        self.records.append(record)
        self.tapped.append(tapped)


class OneBox:
    """Every request is of one box."""

    def identify(self, token: bytes | None) -> Box:  # noqa: ARG002  # same
        return Box("acme", "box-1", "life-1", float("inf"))


class RelayWorld:
    """A relay with fakes all around. Make the object in a running event loop."""

    def __init__(
        self, limits: RelayLimits | None = None, *, usage_tap: bool = False, portal: str = ""
    ) -> None:
        self.limits = limits or RelayLimits()
        self.table, self.books, self.dialer = HeldTable(), HeldBooks(), FakeDialer()
        batch = WriteBatch()
        self.parts = RelayParts(
            table=self.table,
            routes=ROUTES,
            account=self.books,
            limits=self.limits,
            authorities=frozenset({b"10.0.2.2:1000"}),
            clock=lambda: 1_000.0,
            batch=batch,
            pool=Pool(self.dialer, self.limits, batch, TemplateStore()),
            usage_tap=usage_tap,
            portal=portal,
        )

    def connect(self, box: Box | None = None) -> tuple[BoxConnection, FakeTransport]:
        """Make the connection of a box; `box` where the connection itself has proved a box."""
        state = cast("Any", SimpleNamespace(config=None))
        uvicorn = UvicornParts(state, ServerState(), {})
        connection, transport = BoxConnection(self.parts, uvicorn, OneBox(), box), FakeTransport()
        connection.connection_made(transport)
        return connection, transport

    @property
    def sent(self) -> bytes:
        """All bytes sent to providers, by connection in the order of dialling."""
        return b"".join(transport.written for transport in self.dialer.transports)
