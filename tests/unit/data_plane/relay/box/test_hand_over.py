"""A single request for uvicorn's own protocol: the parts given to and hidden from the application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from services.data_plane.core.framing import ChunkedFraming, Framing, LengthFraming
from services.data_plane.core.refused import Refused
from services.data_plane.relay.box.hand_over import IDENTITY_STATE, UvicornParts, hand_over
from shared.rejections import Rejection
from tests.unit.data_plane.relay.fake_transport import FakeTransport
from tests.unit.data_plane.relay.relay_world import OneBox

Message = MutableMapping[str, Any]


@dataclass
class App:
    """An application that reads the body, keeps the request and answers with its size."""

    scopes: list[MutableMapping[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.scopes.append(scope)
        self.bodies.append(body)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


class World:
    """A uvicorn without a server. Make the object in a running event loop."""

    def __init__(self) -> None:
        self.app, self.transport, self.identity = App(), FakeTransport(), OneBox()
        config = Config(self.app, lifespan="off", log_config=None, proxy_headers=False)
        config.load()
        self.state = ServerState()
        self.parts = UvicornParts(config, self.state, {"kept": 1}, asyncio.get_running_loop())

    async def hand_over(self, head: bytes, framing: Framing | None = None, rest: bytes = b"") -> None:
        hand_over(self.transport, self.parts, self.identity, head, framing, rest)
        await asyncio.sleep(0.005)

    async def feed(self, data: bytes) -> None:
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        protocol.data_received(data)
        await asyncio.sleep(0.005)

    @property
    def headers(self) -> dict[bytes, bytes]:
        (scope,) = self.app.scopes
        return dict(scope["headers"])


HEAD = b"GET /run9/ai/?a=%20 HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nX-Kept: 1\r\n\r\n"
POST = b"POST /somewhere HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n"


async def test_the_application_answers_the_request_and_the_connection_closes() -> None:
    world = World()
    await world.hand_over(HEAD)
    (scope,) = world.app.scopes
    assert (scope["method"], scope["raw_path"], scope["query_string"]) == ("GET", b"/run9/ai/", b"a=%20")
    assert world.headers[b"x-kept"] == b"1"
    assert world.transport.written.endswith(b"\r\n\r\nok")
    assert b"\r\nconnection: close\r\n" in world.transport.written.lower()
    assert (world.transport.ended, len(world.state.tasks)) == ("close", 0)


async def test_the_application_finds_the_identity_beside_its_own_state() -> None:
    world = World()
    await world.hand_over(HEAD)
    assert world.app.scopes[0]["state"] == {"kept": 1, IDENTITY_STATE: world.identity}
    assert world.parts.app_state == {"kept": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"CONNECTION: upgrade, http2-settings",
        b"Keep-Alive: timeout=99",
        b"Proxy-Connection: keep-alive",
        b"Upgrade: websocket",
        b"HTTP2-Settings: AAMAAABkAAQAAP__",
    ],
)
async def test_lines_about_the_connection_are_replaced_by_its_end(line: bytes) -> None:
    world = World()
    await world.hand_over(HEAD[:-2] + line + b"\r\n\r\n")
    name = line.partition(b":")[0].lower()
    assert world.headers.get(name) == (b"close" if name == b"connection" else None)
    assert world.headers[b"connection"] == b"close"


async def test_a_body_passes_in_pieces_and_the_bytes_behind_never_become_a_request() -> None:
    world = World()
    await world.hand_over(POST + b"Content-Length: 4\r\n\r\n", LengthFraming(4), b"bo")
    assert world.app.bodies == []
    protocol = world.transport.get_protocol()
    assert isinstance(protocol, HttpToolsProtocol)
    protocol.data_received(b"dy" + HEAD)
    protocol.data_received(HEAD)
    assert not protocol.pipeline  # uvicorn's requests behind the one that is answered
    await asyncio.sleep(0.005)
    assert (world.app.bodies, world.transport.written.count(b"HTTP/1.1")) == ([b"body"], 1)
    assert world.transport.written.startswith(b"HTTP/1.1 200 ")


async def test_a_chunked_body_passes_and_a_broken_one_closes_the_connection() -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    whole, broken = World(), World()
    await whole.hand_over(head, ChunkedFraming(), b"4\r\nbody\r\n0\r\n\r\n" + HEAD)
    assert whole.app.bodies == [b"body"]
    await broken.hand_over(head, ChunkedFraming(), b"4\r\nbody\r\n")
    await broken.feed(b"zz\r\n")
    assert (broken.app.bodies, broken.transport.ended) == ([], "close")


async def test_bytes_behind_a_request_without_a_body_are_thrown_away() -> None:
    world = World()
    await world.hand_over(HEAD, None, HEAD)
    await world.feed(HEAD)
    assert (len(world.app.scopes), world.transport.written.count(b"HTTP/1.1")) == (1, 1)


@pytest.mark.parametrize("method", [b"PROPFIND", b"get", b"X" * 40, b""])
async def test_a_method_that_uvicorn_does_not_know_is_refused_and_the_transport_stays_here(
    method: bytes,
) -> None:
    world = World()
    with pytest.raises(Refused) as caught:
        await world.hand_over(HEAD.replace(b"GET", method))
    assert caught.value.rejection is Rejection.METHOD_NOT_ALLOWED
    assert (world.transport.protocol, world.transport.written) == (None, b"")
