"""An exchange between two fake sides: a box side keeping every call, and a provider's transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.data_plane.account.record import ExchangeRecord
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_reader import RequestReader
from services.data_plane.core.response_head import ResponseHead
from services.data_plane.relay.admit import judge_new_head
from services.data_plane.relay.box_side import BoxSide
from services.data_plane.relay.exchange import Exchange
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.wire.transport import BoxTransport
from shared.box_token import Box
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport
from tests.unit.data_plane.relay.relay_world import INTEGRATION, RelayWorld

BOX = Box("acme", "box-1", "life-1", float("inf"))
HOST = b"Host: 10.0.2.2:1000\r\n"
GET = b"GET /run9/ai/openai/v1/models HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /run9/ai/openai/v1/responses HTTP/1.1\r\n" + HOST + b"Content-Length: 7\r\n\r\n"
CHUNKED = b"POST /run9/ai/openai/v1/files HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = (
    b"GET /run9/ai/openai/v1/realtime HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Request-Id: req-9\r\n\r\n"


class HeldSide(BoxSide):
    """The box's side, which keeps the exchange's calls in `said`."""

    def __init__(self, world: RelayWorld) -> None:
        parts, self.below = world.parts, FakeTransport()
        self.transport = BoxTransport(self.below, 1_000, parts.batch, parts.hang_up_watch, lambda: None)
        self.write = self.transport.write
        self.box, self.load = BOX, None
        self.said: list[str] = []
        self.rejected: Refused | None = None
        self.whole = True
        self.ends_after_response = False

    def has_whole_request(self) -> bool:
        return self.whole

    def request_sent(self) -> None:
        self.said.append("request sent")

    def provider_stalled(self) -> None:
        self.said.append("provider stalled")

    def responding(self, head: ResponseHead) -> bool:  # noqa: ARG002  # the base class's signature
        self.said.append("responding")
        return self.ends_after_response

    def response_complete(self) -> None:
        self.said.append("response complete")

    def reject(self, refused: Refused) -> None:
        self.rejected = refused
        self.said.append("rejected")

    def close(self) -> None:
        self.said.append("closed")

    def linger(self) -> None:
        self.said.append("lingers")

    def break_off(self) -> None:
        self.said.append("broken off")


@dataclass
class Pair:
    """A world with an exchange and its box side."""

    world: RelayWorld
    side: HeldSide
    exchange: Exchange

    @property
    def upstream(self) -> UpstreamConnection:
        return self.world.dialer.connections[-1]

    @property
    def provider(self) -> FakeTransport:
        return self.world.dialer.transports[-1]

    @property
    def record(self) -> ExchangeRecord:
        return self.exchange.record

    @property
    def rejection(self) -> Rejection | None:
        return self.side.rejected.rejection if self.side.rejected else None

    async def answer(self, *pieces: bytes) -> bytes:
        """Let the provider send; gives all bytes received by the box."""
        for piece in pieces:
            self.upstream.data_received(piece)
            await turns()
        return self.side.below.written


async def turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def pair(raw: bytes = GET, world: RelayWorld | None = None) -> Pair:
    world = world or RelayWorld()
    parts, record = world.parts, ExchangeRecord(1_000.0)
    template = judge_new_head(parts, RequestReader(65_536), raw, record)
    assert template is not None
    record.org, record.provider = BOX.org, template.route.provider.name
    side = HeldSide(world)
    load = parts.connection_limits.book(BOX, side)
    exchange = Exchange(parts, side, load, template, template.first_length, record)
    parts.connection_limits.begin_exchange(load, side)
    return Pair(world, side, exchange)


async def sent(raw: bytes = GET, world: RelayWorld | None = None, body: bytes = b"") -> Pair:
    made = pair(raw, world)
    made.exchange.start(body)
    await turns()
    return made


async def pooled(world: RelayWorld) -> UpstreamConnection:
    connection = await world.parts.pool.connect(INTEGRATION)
    world.parts.pool.put_back(connection, world.parts.now())
    return connection
