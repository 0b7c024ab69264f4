"""Load and upstream of the node agent's bench: requests, paced streams, connections held open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from shared.proxy_preface import FIXED_HEADER_BYTES

CONNECTIONS: Final = 32
BODY_BYTES: Final = 1_000
ANSWER_BYTES: Final = 620
EVENT: Final = b"data: " + b"x" * 164 + b"\n\n"
CHUNK_SECONDS: Final = 0.02

_REQUEST: Final = b"POST /json HTTP/1.1\r\nhost: 10.0.2.2:1000\r\ncontent-length: %d\r\n\r\n%b" % (
    BODY_BYTES,
    b"q" * BODY_BYTES,
)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (ANSWER_BYTES, b"a" * ANSWER_BYTES)
_STREAM: Final = b"GET /stream HTTP/1.1\r\n\r\n"


class _Server(asyncio.Protocol):
    """One connection of the upstream: the preface, then whole requests one after the other."""

    def __init__(self) -> None:
        self._preface_left = -1
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._preface_left < 0:
            if len(self._buffer) < FIXED_HEADER_BYTES:
                return
            self._preface_left = FIXED_HEADER_BYTES + int.from_bytes(self._buffer[14:16])
        if self._preface_left:
            if len(self._buffer) < self._preface_left:
                return
            self._buffer, self._preface_left = self._buffer[self._preface_left :], 0
        while self._buffer.startswith(b"POST") and len(self._buffer) >= len(_REQUEST):
            self._buffer = self._buffer[len(_REQUEST) :]
            self._transport.write(_ANSWER)
        if self._buffer == _STREAM:
            self._buffer = b""
            self._send_event()

    def _send_event(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(EVENT)
            asyncio.get_running_loop().call_later(CHUNK_SECONDS, self._send_event)


class Upstream:
    """Listens on `port` of loopback once started."""

    port: int

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        self._server.close()


class Load:
    """Calls a subject on a port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def requests(self, count: int) -> None:
        """Make so many requests over a few connections that are kept."""
        await asyncio.gather(*(self._ask(count // CONNECTIONS) for _ in range(CONNECTIONS)))

    async def _ask(self, count: int) -> None:
        reader, writer = await self._connect()
        for _ in range(count):
            writer.write(_REQUEST)
            await reader.readexactly(len(_ANSWER))
        writer.close()

    async def streams(self, count: int, chunks: int) -> None:
        """Read so many streams at once, each of so many paced chunks."""
        await asyncio.gather(*(self._listen(chunks) for _ in range(count)))

    async def _listen(self, chunks: int) -> None:
        reader, writer = await self._connect()
        writer.write(_STREAM)
        await reader.readexactly(len(EVENT) * chunks)
        writer.close()

    @asynccontextmanager
    async def held_open(self, count: int) -> AsyncIterator[None]:
        """Hold connections open, each of which has been answered once."""
        held = []
        for _ in range(count):
            reader, writer = await self._connect()
            writer.write(_REQUEST)
            await reader.readexactly(len(_ANSWER))
            held.append(writer)
        yield
        for writer in held:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)
