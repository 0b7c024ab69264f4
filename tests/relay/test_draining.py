"""A relay whose process ends: WebSockets close between two turns, responses end with their connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.relay.conftest import DEADLINE_SECONDS, KEY, RelayUnderTest, RunRelay, request
from tests.support.answers import chunk_bytes, head_bytes
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

USAGE = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
COMPLETED = json.dumps({"type": "response.completed", "response": {"id": "r", "model": "m", "usage": USAGE}})
CREATE = '{"type":"response.create"}'
DELTA = '{"type":"response.output_text.delta","delta":"x"}'
RESTART = Close(1012, "the gateway restarts; connect again")
SEVERAL_SWEEPS_SECONDS = 2.5


@dataclass
class Provider:
    """Answers a turn with a delta, and ends the turn when told."""

    end_turn: asyncio.Event = field(default_factory=asyncio.Event)
    closes: list[Close | None] = field(default_factory=list)

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created"}')
        async for _ in connection:
            await connection.send(DELTA)
            await self.end_turn.wait()
            with contextlib.suppress(ConnectionClosed):
                await connection.send(COMPLETED)
        self.closes.append(connection.protocol.close_rcvd)


@asynccontextmanager
async def conversation(
    gateway: RelayUnderTest, provider: Provider, **options: object
) -> AsyncIterator[ClientConnection]:
    async with serve(provider, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.set_up(f"http://127.0.0.1:{port}/v1")
        url = f"ws://127.0.0.1:{gateway.port}/run9/ai/openai/v1/responses"
        async with websockets.connect(url, **options) as socket:  # type: ignore[arg-type]  # options by name
            assert "session.created" in str(await socket.recv())
            yield socket
        provider.end_turn.set()
        await gateway.settled(lambda: bool(gateway.books.records))


def drain(gateway: RelayUnderTest) -> None:
    """Tell every connection, as uvicorn does at a stop."""
    for connection in gateway.connections:
        connection.shutdown()


async def closed(socket: ClientConnection) -> Close | None:
    """Wait for the end; give the Close frame of the gateway."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await socket.wait_closed()
    return socket.protocol.close_rcvd


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_websocket_between_two_turns_is_closed_with_1012_and_the_provider_learns_it(
    run_relay: RunRelay, compression: str | None
) -> None:
    gateway, provider = await run_relay(), Provider()
    provider.end_turn.set()
    async with conversation(gateway, provider, compression=compression) as socket:
        await socket.send(CREATE)
        assert [await socket.recv(), await socket.recv()] == [DELTA, COMPLETED]
        drain(gateway)
        assert await closed(socket) == RESTART
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not provider.closes:  # noqa: ASYNC110  # the provider's side has no event
            await asyncio.sleep(0.01)
    assert provider.closes == [Close(1001, "")]
    record = gateway.books.records[0]
    assert (record.outcome, record.status, record.code) == ("spliced", 101, "")


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_turn_under_way_is_ended_by_the_provider_first(
    run_relay: RunRelay, compression: str | None
) -> None:
    gateway, provider = await run_relay(), Provider()
    async with conversation(gateway, provider, compression=compression) as socket:
        await socket.send(CREATE)
        assert await socket.recv() == DELTA
        drain(gateway)
        await asyncio.sleep(SEVERAL_SWEEPS_SECONDS)
        assert socket.protocol.close_rcvd is None
        provider.end_turn.set()
        assert await socket.recv() == COMPLETED
        assert await closed(socket) == RESTART


async def test_without_the_usage_tap_a_websocket_on_which_nothing_was_asked_is_closed(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay(usage_tap=False)
    async with conversation(gateway, Provider()) as socket:
        drain(gateway)
        assert await closed(socket) == RESTART


async def test_at_the_limit_a_turn_is_closed_with_1012_between_two_messages(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with conversation(gateway, Provider()) as socket:
        await socket.send(CREATE)
        assert await socket.recv() == DELTA
        drain(gateway)
        await gateway.relay.aclose()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert await closed(socket) == RESTART
    assert gateway.books.records[0].outcome == "cut"


async def test_at_the_limit_a_message_under_way_is_cut_visibly(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with conversation(gateway, Provider()) as socket:
        socket.transport.write(b"\x81\xff")  # the beginning of a message of the box
        await gateway.settled(lambda: gateway.exchanges[0].record.bytes_up == len(b"\x81\xff"))
        drain(gateway)
        await gateway.relay.aclose()
        assert await closed(socket) is None
        assert socket.close_code == 1006
    assert gateway.books.records[0].outcome == "cut"


async def test_a_stream_finishes_and_its_connection_ends_with_it(run_relay: RunRelay) -> None:
    gateway, go_on = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        head = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
        end = Send(chunk_bytes(b"last") + b"0\r\n\r\n")
        upstream.queue((Send(head), Send(chunk_bytes(b"first")), WaitFor(go_on), end))
        client = await gateway.connect()
        client.send(request("POST", body=b"{}"))
        await client.read_until(b"first")
        idle = await gateway.connect()
        await gateway.settled(lambda: len(gateway.connections) == 2)
        drain(gateway)
        assert await idle.read_all() == b""
        go_on.set()
        assert (await client.read_all()).endswith(b"last\r\n0\r\n\r\n")


async def test_a_response_that_begins_during_the_drain_says_that_its_connection_ends(
    run_relay: RunRelay,
) -> None:
    gateway, go_on = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((WaitFor(go_on), Send(head_bytes("200 OK", [("Content-Length", "2")]) + b"{}")))
        client = await gateway.connect()
        client.send(request())
        await gateway.settled(lambda: len(upstream.requests) == 1)
        drain(gateway)
        go_on.set()
        answer = await client.read_all()
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1
    assert answer.endswith(b"\r\n\r\n{}")
