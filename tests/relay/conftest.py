"""A relay on real sockets with everything around it held in the hand: table, identity, books, limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
import uvloop
from fastapi import FastAPI

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.key_scan import KeySearch
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused_routes import RouteRule
from services.data_plane.core.route import Routes
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tap import Tapped, UsageTap
from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.exchange import Exchange
from services.data_plane.relay.ports import Identity
from services.data_plane.relay.relay import Relay
from services.data_plane.relay.upstream.egress import DirectEgress, Egress
from services.data_plane.relay.upstream.resolver import Resolver
from services.data_plane.table.compile import compile_integration
from shared.addresses import AddressPolicy
from shared.box_token import Box
from shared.clock import unix_now
from shared.config_feed import IntegrationRow
from shared.listener import bind, port_of, serve
from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument
from shared.tasks import TaskSet
from tests.support.answers import head_bytes

KEY = "sk-org-key-0123456789abcdef"
DEADLINE_SECONDS = 10.0
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCHED = head_bytes(
    "101 Switching Protocols",
    [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")],
)


@dataclass
class HeldTable:
    """A table whose rows the test sets."""

    rows: dict[tuple[str, str], CompiledIntegration | NotReady] = field(default_factory=dict)
    loads: int = 0
    on_load: Callable[[], Awaitable[None]] | None = None

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        return self.rows.get((org, provider), NotReady.MISSING)

    def hold_loading(self, org: str, provider: ProviderName, on_load: Callable[[], Awaitable[None]]) -> None:
        """From now on the row's secret is not in memory; `on_load` is run by a load."""
        self.rows[org, provider] = NotReady.LOADING
        self.on_load = on_load

    async def load(self, org: str, provider: ProviderName) -> None:  # noqa: ARG002  # the port's signature
        self.loads += 1
        if self.on_load is not None:
            await self.on_load()


@dataclass
class NamedIdentity:
    """The box's name is its token, or `box-0` without a token. `org/box` names the org too.

    Every box was proved by the node key `kid-1`, by a token valid until `expires_at` (Unix seconds).
    """

    expires_at: float = float("inf")

    def identify(self, token: bytes | None) -> Box:
        org, _, box = (token or b"org-0/box-0").decode().partition("/")
        return Box(org, box, "life-1", self.expires_at, "kid-1")


@dataclass
class HeldBooks:
    """Keeps every record."""

    records: list[ExchangeRecord] = field(default_factory=list)

    keys: list[KeySearch | None] = field(default_factory=list)

    def finished(
        self, record: ExchangeRecord, tapped: Tapped | None = None, key: KeySearch | None = None
    ) -> None:
        self.keys.append(key)
        if tapped is not None:
            tap = UsageTap(tapped) if isinstance(tapped, bytes) else tapped
            shape = SHAPES[record.provider]
            record.usage = tap.read(shape, is_whole=record.outcome in {"answered", "spliced"}).usage
        self.records.append(record)


@dataclass
class RelayUnderTest:
    """The relay of a test."""

    relay: Relay
    table: HeldTable
    books: HeldBooks
    port: int
    clients: list[BoxClient] = field(default_factory=list)

    @property
    def connections(self) -> list[BoxConnection]:
        """Every open connection of a box."""
        return [cast("BoxConnection", one) for one in self.relay.connection_limits.connections]

    @property
    def exchanges(self) -> list[Exchange]:
        """Every exchange under way."""
        return [one._exchange for one in self.connections if one._exchange is not None]

    def set_up(
        self,
        endpoint: str,
        provider: ProviderName = "openai",
        *,
        org: str = "org-0",
        key: str = KEY,
        version: int = 1,
    ) -> None:
        """Compile an integration as the data plane does, and put the result into the table."""
        row = IntegrationRow(org, provider, enabled=True, secret_version=version)
        document = SecretDocument(org, provider, endpoint, Secret(key))
        compiled = compile_integration(row, document, allow_plain_http=True)
        self.table.rows[org, provider] = compiled

    def change(self, found: CompiledIntegration | NotReady, provider: ProviderName = "openai") -> None:
        """Change a row and tell the relay, as the table does."""
        self.table.rows["org-0", provider] = found
        self.relay.config_changed("org-0", provider)

    async def connect(self) -> BoxClient:
        """Open a raw connection as a box would."""
        client = BoxClient(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20))
        self.clients.append(client)
        return client

    async def ask(self, request: bytes) -> bytes:
        """Send one request and read until the gateway ends the connection."""
        client = await self.connect()
        client.send(request)
        return await client.read_all()

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, within a generous deadline."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110  # the relay offers no event for tests
                await asyncio.sleep(0.005)


@dataclass
class BoxClient:
    """A raw HTTP client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readexactly(size)

    async def read_until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readuntil(mark)

    async def read_head(self) -> bytes:
        return await self.read_until(b"\r\n\r\n")

    async def read_all(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read(-1)

    async def read_answer(self) -> tuple[bytes, bytes]:
        """Read a head and a body of known length."""
        head = await self.read_head()
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        return head, await self.read(length)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


def request(
    method: str = "GET",
    path: str = "/v1/models",
    *lines: str,
    body: bytes = b"",
    provider: str = "openai",
    close: bool = False,
) -> bytes:
    """Write a request for the relay."""
    head = [f"{method} /run9/ai/{provider}{path} HTTP/1.1", "Host: 10.0.2.2:1000", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    if close:
        head.append("Connection: close")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_upstream(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run `handler` for every connection; gives the endpoint's base URL."""
    tasks = TaskSet()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (EOFError, ConnectionError):
            pass  # the relay left, which is often the point
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.start(guarded(reader, writer), "raw upstream")

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"
    finally:
        server.close()
        await tasks.aclose()


RunRelay = Callable[..., Awaitable[RelayUnderTest]]


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001  # part of the hook's signature
    item: pytest.Item,  # noqa: ARG001  # same
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The relay runs on uvloop, and so do its tests."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def run_relay() -> AsyncIterator[RunRelay]:
    """Give a function that starts a relay with limits of the test's choice."""
    stop, tasks, started_relays = asyncio.Event(), TaskSet(), list[RelayUnderTest]()
    servers: list[asyncio.Task[None]] = []

    async def run(
        *,
        tls: ssl.SSLContext | None = None,
        policy: tuple[str, ...] = ("127.0.0.0/8", "::1/128"),
        resolver: Resolver | None = None,
        egress: Egress | None = None,
        usage_tap: bool = True,
        identity: Identity | None = None,
        rules: tuple[RouteRule, ...] = (),
        **limits: float,
    ) -> RelayUnderTest:
        table, books, started = HeldTable(), HeldBooks(), asyncio.Event()
        app = FastAPI(openapi_url=None)

        @app.get("/run9/ai/")
        def status() -> dict[str, str]:
            return {"served_by": "the application"}

        listener = bind("127.0.0.1", 0, option="the test's port")
        relay = Relay(
            table=table,
            routes=Routes(tuple(PROVIDERS.values()), rules),
            account=books,
            limits=RelayLimits(**limits),  # type: ignore[arg-type]  # the test names limits as it needs them
            egress=egress or DirectEgress(resolver or Resolver(AddressPolicy.of(policy))),
            allow_plain_http=True,
            box_authorities=frozenset({b"10.0.2.2:1000", b"127.0.0.1:%d" % port_of(listener)}),
            tls_context=tls or ssl.create_default_context(),
            clock=unix_now,
            usage_tap=usage_tap,
        )
        serving = serve(
            app,
            listener,
            stop=stop,
            started=started.set,
            http=relay.protocol_factory(identity or NamedIdentity()),
            grace_seconds=1,
        )
        servers.append(tasks.start(serving, "listener"))
        await started.wait()
        under_test = RelayUnderTest(relay, table, books, port_of(listener))
        started_relays.append(under_test)
        return under_test

    yield run
    stop.set()
    for under_test in started_relays:
        for client in under_test.clients:
            client.abort()
        await under_test.relay.aclose()
    await asyncio.gather(*servers)
    await tasks.aclose()
