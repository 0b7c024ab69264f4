"""Upgrades: a handshake is checked and its credential swapped; after the 101 both sides are spliced."""

from __future__ import annotations

import asyncio

import websockets
from websockets.asyncio.server import Server, ServerConnection, serve

from services.data_plane.core.integration import NotReady
from services.data_plane.relay.upstream.connection import UpstreamConnection
from tests.relay.conftest import (
    DEADLINE_SECONDS,
    HANDSHAKE,
    KEY,
    SWITCHED,
    RelayUnderTest,
    RunRelay,
    raw_upstream,
    request,
)
from tests.relay.test_leaving import narrow
from tests.support.answers import whole
from tests.support.scripted_upstream import ScriptedUpstream


async def _echo(connection: ServerConnection) -> None:
    assert connection.request is not None
    await connection.send(connection.request.headers["Authorization"])
    async for message in connection:
        await connection.send(message)


def _endpoint(server: Server) -> str:
    return f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


def _url(gateway: RelayUnderTest) -> str:
    return f"ws://127.0.0.1:{gateway.port}/run9/ai/openai/v1/realtime?model=m"


async def test_a_real_client_and_server_talk_through_with_compression(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with serve(_echo, "127.0.0.1", 0) as server:
        gateway.set_up(_endpoint(server))
        headers = {"Authorization": "Bearer run9-placeholder"}
        async with websockets.connect(
            _url(gateway), additional_headers=headers, user_agent_header=None
        ) as ws:
            assert await ws.recv() == f"Bearer {KEY}"
            for message in ("hello", b"\x00\x01", "x" * 300_000):
                await ws.send(message)
                assert await ws.recv() == message
            assert [e.name for e in ws.protocol.extensions] == ["permessage-deflate"]
        assert ws.close_code == 1000
    await gateway.settled(lambda: bool(gateway.books.records))
    assert gateway.books.records[0].outcome == "spliced"
    assert gateway.books.records[0].status == 101


async def test_bytes_on_either_side_of_the_101_are_not_lost(run_relay: RunRelay) -> None:
    gateway = await run_relay()

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in head
        writer.write(SWITCHED + b"early")
        writer.write(await reader.readexactly(4))
        await writer.drain()
        await reader.read(-1)

    async with raw_upstream(eager) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("GET", "/v1/realtime", *HANDSHAKE) + b"ping")
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read(9) == b"earlyping"


async def test_a_refused_upgrade_is_426(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"no", status="403 Forbidden"))
        client = await gateway.connect()
        client.send(request("GET", "/v1/responses", *HANDSHAKE))
        head, body = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 426 ")
    assert b"x-run9-error: upstream_upgrade_refused" in head
    assert b"status 403" in body


async def test_an_unasked_101_is_refused(run_relay: RunRelay) -> None:
    gateway = await run_relay()

    async def switching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)

    async with raw_upstream(switching) as endpoint:
        gateway.set_up(endpoint)
        answer = await gateway.ask(request(close=True))
    assert answer.startswith(b"HTTP/1.1 502 ")


async def test_disable_cuts_a_splice(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with serve(_echo, "127.0.0.1", 0) as server:
        gateway.set_up(_endpoint(server))
        async with websockets.connect(_url(gateway)) as ws:
            await ws.recv()
            gateway.change(NotReady.DISABLED)
            await ws.wait_closed()
        assert ws.close_code == 1006
    assert gateway.books.records[0].outcome == "cut"


async def test_the_end_of_either_side_reaches_the_other(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    ended = asyncio.Event()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)
        if await reader.read(1) == b"e":
            return
        assert await reader.read(-1) == b""
        ended.set()

    async with raw_upstream(closing) as endpoint:
        gateway.set_up(endpoint)
        by_server = await gateway.connect()
        by_server.send(request("GET", "/v1/realtime", *HANDSHAKE) + b"e")
        await by_server.read_head()
        assert await by_server.read_all() == b""
        by_client = await gateway.connect()
        by_client.send(request("GET", "/v1/realtime", *HANDSHAKE) + b"s")
        await by_client.read_head()
        by_client.close()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_an_idle_splice_is_bounded(run_relay: RunRelay) -> None:
    gateway = await run_relay(idle_seconds=0.3)
    async with serve(_echo, "127.0.0.1", 0, ping_interval=None) as server:
        gateway.set_up(_endpoint(server))
        async with websockets.connect(_url(gateway), ping_interval=None) as ws:
            await ws.recv()
            await ws.wait_closed()
        assert ws.close_code == 1006


async def test_bytes_behind_a_refused_handshake_are_not_read_as_a_request(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"no", status="403 Forbidden"))
        client = await gateway.connect()
        client.send(request("GET", "/v1/responses", *HANDSHAKE) + b"frames")
        head, _ = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 426 ")
        client.send(request())
        assert await client.read_all() == b""
    assert len(upstream.requests) == 1


class ReadsLate:
    """A provider which switches and then takes no bytes until told to."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.received = asyncio.get_running_loop().create_future()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads, too
        await self.read.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]  # same
        self.received.set_result(await reader.read(-1))


async def _leave_behind(gateway: RelayUnderTest, frames: bytes) -> None:
    """Be a box that sends more than the provider's kernel takes, and leaves."""
    client = await gateway.connect()
    client.send(request("GET", "/v1/realtime", *HANDSHAKE))
    await client.read_head()
    client.send(frames)
    client.close()
    await gateway.settled(lambda: [r.outcome for r in gateway.books.records] == ["spliced"])


async def test_what_a_box_sent_before_it_left_reaches_a_provider_that_reads_late(run_relay: RunRelay) -> None:
    gateway, upstream, frames = await run_relay(), ReadsLate(), b"frames! " * 32_000
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        narrow(gateway, endpoint)
        await _leave_behind(gateway, frames)
        upstream.read.set()
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await upstream.received == frames


async def test_a_provider_that_never_takes_it_is_left_after_a_stall(run_relay: RunRelay) -> None:
    gateway, upstream, lost = (
        await run_relay(write_stall_seconds=0.3),
        ReadsLate(),
        list[UpstreamConnection](),
    )
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        narrow(gateway, endpoint)
        gateway.relay.parts.pool.on_lost = lost.append
        await _leave_behind(gateway, b"x" * 250_000)
        assert lost == []
        await gateway.settled(lambda: len(lost) == 1)
