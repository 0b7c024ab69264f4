"""A whole relay without a socket: fake transports for boxes and providers, a row for each integration."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from uvicorn.server import ServerState

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.limits import RelayLimits
from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.relay import Relay
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.upstream.egress import Made
from services.data_plane.table.compile import compile_integration
from shared.box_token import Box
from shared.config_feed import IntegrationRow
from shared.endpoint import Endpoint
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.corpus.replay import ROUTES
from tests.unit.data_plane.relay.fake_transport import FakeTransport
from tests.unit.data_plane.relay.relay_world import HeldBooks

HOST = b" HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
TO_OPENAI = b"GET /run9/ai/openai/v1/models" + HOST
TO_ANTHROPIC = b"GET /run9/ai/anthropic/v1/models" + HOST
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def integration(
    provider: ProviderName, host: str = "provider.example", org: str = "acme"
) -> CompiledIntegration:
    row = IntegrationRow(org, provider, enabled=True, secret_version=1)
    document = SecretDocument(org, provider, f"http://{host}/v1", Secret("sk-not-a-key-0123456789"))
    return compile_integration(row, document, allow_plain_http=True)


class RowTable:
    """A table with a row for each org and provider."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], CompiledIntegration | NotReady] = {
            (org, name): integration(name, org=org)
            for org in ("acme", "globex")
            for name in cast("tuple[ProviderName, ...]", ("openai", "anthropic"))
        }

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        return self.rows.get((org, provider), NotReady.MISSING)

    async def load(self, org: str, provider: ProviderName) -> None:
        raise AssertionError(f"every secret of {org} is here, and {provider} too")


class FakeEgress:
    """Connects each protocol to a transport of its own, at once."""

    def __init__(self) -> None:
        self.connections: list[tuple[Endpoint, UpstreamConnection, FakeTransport]] = []

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        protocol, transport = make(), FakeTransport()
        protocol.connection_made(transport)
        self.connections.append((endpoint, cast("UpstreamConnection", protocol), transport))
        return protocol


class OrgIdentity:
    """Every request is of a box of one org."""

    def __init__(self, org: str) -> None:
        self._box = Box(org, f"box-of-{org}", "life-1", float("inf"))

    def identify(self, _token: bytes | None) -> Box:
        return self._box


class WholeRelay:
    """A relay, its surroundings and its boxes. Make the object in a running event loop."""

    def __init__(self, limits: RelayLimits | None = None) -> None:
        self.table, self.books, self.egress = RowTable(), HeldBooks(), FakeEgress()
        self.state = ServerState()
        self.relay = Relay(
            table=self.table,
            routes=ROUTES,
            account=self.books,
            limits=limits or RelayLimits(warm_upstreams_per_endpoint=0),
            egress=self.egress,
            allow_plain_http=True,
            box_authorities=frozenset({b"10.0.2.2:1000"}),
            tls_context=ssl.create_default_context(),
            clock=lambda: 1_000.0,
            portal="https://portal.example",
        )

    async def connect(self, asks: bytes = b"", org: str = "acme") -> tuple[BoxConnection, FakeTransport]:
        make = self.relay.protocol_factory(OrgIdentity(org))
        config = cast("Any", SimpleNamespace())
        protocol = make(config=config, server_state=self.state, app_state={}, _loop=None)
        transport = FakeTransport()
        protocol.connection_made(transport)
        connection = cast("BoxConnection", protocol)
        if asks:
            connection.data_received(asks)
            await asyncio.sleep(0.005)
        return connection, transport

    async def answer(self) -> None:
        """Have every waiting provider answer."""
        for _, connection, _ in self.egress.connections:
            if not connection.usable:
                connection.data_received(ANSWER)
        await asyncio.sleep(0.005)
