"""A leaving box is seen in every phase of its request, whatever bytes were sent ahead."""

from __future__ import annotations

import asyncio

import pytest

from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.pool import Pool
from tests.relay.conftest import (
    DEADLINE_SECONDS,
    HANDSHAKE,
    KEY,
    SWITCHED,
    BoxClient,
    RelayUnderTest,
    RunRelay,
    raw_upstream,
    request,
)
from tests.relay.test_next_requests import NarrowDialer
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

KEYS = frozenset({KEY.encode()})
MIB = 1024 * 1024
REFUSED = request("GET", "/v1/organization/x", "X-Pad: " + "x" * 1000)
CHUNKED = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])


class Waiting:
    """A provider which takes a request, may begin its answer, and tells when its connection was left."""

    def __init__(self, begun: bytes = b"") -> None:
        self.begun = begun
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked.set()
            writer.write(self.begun)
            while await reader.read(MIB):
                pass
        finally:
            self.left.set()


async def _leave(client: BoxClient, how: str) -> None:
    """Leave as a program does whose bytes have all been taken by the kernel."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await client.writer.drain()
    getattr(client, how)()


async def _seen(event: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await event.wait()


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize(
    "begun", [b"", CHUNKED + chunk_bytes(b"first")], ids=["before the answer", "within it"]
)
@pytest.mark.parametrize("before", [b"", REFUSED * 1000], ids=["first", "behind many that were refused"])
async def test_a_box_that_leaves_behind_megabytes_of_requests_takes_the_upstream_with_it(
    run_relay: RunRelay, before: bytes, begun: bytes, how: str
) -> None:
    gateway, upstream = await run_relay(), Waiting(begun)
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(before + request("POST", body=b"{}") + request() * 100_000)
        await _seen(upstream.asked)
        await _leave(client, how)
        await _seen(upstream.left)
    await gateway.settled(lambda: gateway.books.records[-1].outcome == "client_gone")
    assert gateway.relay.open_exchanges == 0


async def test_a_box_that_leaves_behind_megabytes_while_its_secret_loads_is_seen(run_relay: RunRelay) -> None:
    gateway, never = await run_relay(), asyncio.Event()

    async def load() -> None:
        await never.wait()

    gateway.set_up("http://127.0.0.1:1/v1")
    gateway.table.hold_loading("org-0", "openai", load)
    client = await gateway.connect()
    client.send(request() + request() * 100_000)
    await gateway.settled(lambda: gateway.relay.open_exchanges == 1)
    await _leave(client, "close")
    await gateway.settled(lambda: [r.outcome for r in gateway.books.records] == ["client_gone"])


async def _held(gateway: RelayUnderTest) -> int:
    return max(len(connection._reader.held) for connection in gateway.connections)


async def test_the_answer_under_way_comes_whole_and_is_the_last_when_too_much_comes_before_it(
    run_relay: RunRelay,
) -> None:
    gateway, hold = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: (WaitFor(hold), *whole(r.body))) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", body=b"mine") + request("POST", body=b"y" * 1000) * 10_000)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while client.writer.transport.get_write_buffer_size():
                assert await _held(gateway) < MIB
                await asyncio.sleep(0.005)
        hold.set()
        head, body = await client.read_answer()
        assert b"\r\nConnection: close\r\n" in head
        assert body == b"mine"
        assert await client.read_all() == b""
    assert len(upstream.requests) == 1
    assert [r.outcome for r in gateway.books.records] == ["answered"]


async def test_an_answer_that_has_begun_comes_whole_all_the_same(run_relay: RunRelay) -> None:
    gateway, hold = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(CHUNKED + chunk_bytes(b"first")), WaitFor(hold), Send(b"0\r\n\r\n")))
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"first\r\n")
        client.send(request("GET", "/v1/too-many") * 100_000)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await client.writer.drain()
        hold.set()
        assert await client.read_all() == b"0\r\n\r\n"
    assert len(upstream.requests) == 1


async def test_what_a_head_could_be_is_kept_and_answered(run_relay: RunRelay) -> None:
    gateway, hold = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: (WaitFor(hold), *whole(r.body))) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", body=b"first") + request("POST", body=b"z" * 60_000))
        await gateway.settled(lambda: len(upstream.requests) == 1)
        hold.set()
        assert (await client.read_answer())[1] == b"first"
        assert (await client.read_answer())[1] == b"z" * 60_000


@pytest.mark.parametrize("pieces", [1, 20])
async def test_frames_without_end_before_a_handshakes_answer_are_refused(
    run_relay: RunRelay, pieces: int
) -> None:
    """Frames belong to the splice and cannot be thrown away; nor may frames come yet (RFC 6455 §4.1)."""
    gateway, upstream = await run_relay(), Waiting()
    async with raw_upstream(upstream) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("GET", "/v1/realtime", *HANDSHAKE))
        for _ in range(pieces):
            client.send(b"\x82" * (MIB // pieces))
            await asyncio.sleep(0)
        head, _ = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"x-run9-error: bad_request\r\n" in head
        assert await client.read_all() == b""
        if upstream.asked.is_set():
            await _seen(upstream.left)
    assert gateway.relay.open_exchanges == 0


async def test_a_box_that_leaves_while_the_provider_takes_nothing_of_a_whole_request_is_seen(
    run_relay: RunRelay,
) -> None:
    gateway, left = await run_relay(write_buffer_bytes=10_000), asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # it is deaf
        await left.wait()

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        narrow(gateway, endpoint)
        client = await gateway.connect()
        await gateway.settled(lambda: len(gateway.connections) == 1)
        connection = next(iter(gateway.connections))
        connection.data_received(request("POST", "/v1/files", body=b"x" * 16 * MIB))
        await gateway.settled(lambda: gateway.relay.open_exchanges == 1)
        exchange = gateway.exchanges[0]
        await gateway.settled(lambda: exchange._upstream is not None)
        await asyncio.sleep(0.1)
        assert exchange._upstream is not None
        assert exchange._upstream._transport.get_write_buffer_size() > MIB, "the provider took it all"
        client.abort()
        await gateway.settled(lambda: [r.outcome for r in gateway.books.records] == ["client_gone"])
        left.set()


async def _send_until_paused(gateway: RelayUnderTest, client: BoxClient, piece: bytes) -> None:
    """Send as much as the gateway takes and a piece more, which waits unread in its kernel."""
    transport, paused_turns = next(iter(gateway.connections)).transport, 0
    async with asyncio.timeout(DEADLINE_SECONDS):
        while paused_turns < 10:
            paused_turns = paused_turns + 1 if transport.reading_paused else 0
            if not paused_turns:
                client.send(piece)
                await client.writer.drain()
            await asyncio.sleep(0.005)
    client.send(piece)
    await asyncio.sleep(0.05)
    assert transport.reading_paused


def narrow(gateway: RelayUnderTest, endpoint: str) -> None:
    """Give the gateway a pool whose connections take little before stalling."""
    port = int(endpoint.rpartition(":")[2].partition("/")[0])
    parts = gateway.relay.parts
    parts.pool = Pool(NarrowDialer(port), parts.limits, parts.batch, TemplateStore())


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("asked", ["an upload", "a splice"])
async def test_a_box_that_leaves_while_it_is_not_read_takes_the_upstream_with_it(
    run_relay: RunRelay, asked: str, how: str
) -> None:
    gateway, stop = await run_relay(write_buffer_bytes=20_000), asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if asked == "a splice":
            writer.write(SWITCHED)
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio has no other word for it
        await stop.wait()

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        narrow(gateway, endpoint)
        client = await gateway.connect()
        if asked == "a splice":
            client.send(request("GET", "/v1/realtime", *HANDSHAKE))
            await client.read_head()
        else:
            client.send(request("POST", "/v1/files", f"Content-Length: {900 * MIB}"))
            await gateway.settled(lambda: gateway.relay.open_exchanges == 1)
        await _send_until_paused(gateway, client, b"x" * 20_000)
        assert gateway.relay.open_exchanges == 1
        await _leave(client, how)
        await gateway.settled(lambda: gateway.relay.open_exchanges == 0)
        await gateway.settled(lambda: not gateway.connections)
        assert len(gateway.relay.parts.hang_up_watch) == 0
        stop.set()
    assert [r.outcome for r in gateway.books.records] == ["spliced" if asked == "a splice" else "client_gone"]


async def test_a_box_that_leaves_while_its_body_waits_for_a_secret_is_seen(run_relay: RunRelay) -> None:
    gateway, never = await run_relay(write_buffer_bytes=20_000), asyncio.Event()

    async def load() -> None:
        await never.wait()

    gateway.set_up("http://127.0.0.1:1/v1")
    gateway.table.hold_loading("org-0", "openai", load)
    client = await gateway.connect()
    client.send(request("POST", "/v1/files", f"Content-Length: {900 * MIB}"))
    await gateway.settled(lambda: gateway.relay.open_exchanges == 1)
    await _send_until_paused(gateway, client, b"x" * 20_000)
    await _leave(client, "close")
    await gateway.settled(lambda: [r.outcome for r in gateway.books.records] == ["client_gone"])


async def test_a_box_that_was_paused_and_stayed_loses_no_byte(run_relay: RunRelay) -> None:
    gateway, read = await run_relay(write_buffer_bytes=20_000), asyncio.Event()
    body = bytes(range(256)) * 40_000

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await read.wait()
        same = await reader.readexactly(len(body)) == body
        writer.write(head_bytes("200 OK" if same else "500 Differs", [("Content-Length", "0")]))

    async with raw_upstream(late) as endpoint:
        gateway.set_up(endpoint)
        narrow(gateway, endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", body=body))
        connection = next(iter(gateway.connections))
        await gateway.settled(lambda: connection.transport.reading_paused)
        assert len(gateway.relay.parts.hang_up_watch) == 1
        read.set()
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert len(gateway.relay.parts.hang_up_watch) == 0
