"""Deadlines, caps and back-pressure: no peer can hold the relay, and none waits for ever."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path

import pytest

from tests.relay.conftest import DEADLINE_SECONDS, KEY, RunRelay, raw_upstream, request
from tests.support.answers import LAST_CHUNK, chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Pause, ScriptedUpstream, Send, WaitFor

KEYS = frozenset({KEY.encode()})
MIB = 1024 * 1024


async def test_a_slow_head_is_ended(run_relay: RunRelay) -> None:
    gateway = await run_relay(head_seconds=0.2)
    answer = await gateway.ask(b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost: ")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"x-run9-error: request_timeout" in answer


async def test_a_head_that_trickles_is_ended_all_the_same(run_relay: RunRelay) -> None:
    gateway = await run_relay(head_seconds=0.3)
    client = await gateway.connect()
    client.send(b"GET /run9/ai/openai/v1/models HTTP/1.1\r\n")

    async def trickle() -> None:
        while not client.writer.is_closing():
            client.send(b"X-A: b\r\n")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())  # noqa: TID251  # cancelled below
    assert (await client.read_head()).startswith(b"HTTP/1.1 408 ")
    trickling.cancel()


async def test_a_body_that_stops_is_ended(run_relay: RunRelay) -> None:
    gateway = await run_relay(body_progress_seconds=0.2)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = await gateway.ask(request("POST", "/v1/files", "Content-Length: 100") + b"half")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert upstream.requests == []


async def test_an_upstream_that_never_answers_is_a_timeout(run_relay: RunRelay) -> None:
    gateway = await run_relay(first_byte_seconds=0.2)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Pause(5),))
        answer = await gateway.ask(request(close=True))
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"x-run9-error: upstream_timeout" in answer


async def test_an_upstream_that_stalls_mid_answer_is_cut(run_relay: RunRelay) -> None:
    gateway = await run_relay(idle_seconds=0.2)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes("200 OK", [("Content-Length", "9")]) + b"half"), Pause(5)))
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"half")
        with pytest.raises(ConnectionResetError):
            await client.read_all()
    assert gateway.books.records[0].outcome == "cut"


async def test_one_byte_a_time_is_no_stall(run_relay: RunRelay) -> None:
    gateway = await run_relay(idle_seconds=0.6)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        trickle = [step for n in range(30) for step in (Pause(0.05), Send(b"%d" % (n % 10)))]
        upstream.queue((Send(head_bytes("200 OK", [("Content-Length", "30")])), *trickle))
        answer = await gateway.ask(request(close=True))
    assert answer.endswith(b"0123456789" * 3)


async def test_an_idle_box_connection_is_closed_after_its_keep_alive(run_relay: RunRelay) -> None:
    gateway = await run_relay(keep_alive_seconds=0.2)
    assert await (await gateway.connect()).read_all() == b""


async def test_idle_upstream_connections_are_closed(run_relay: RunRelay) -> None:
    gateway = await run_relay(upstream_idle_seconds=0.2)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"))
        await gateway.ask(request(close=True))
        await gateway.settled(lambda: upstream.closed == 1)
    assert len(gateway.relay.parts.pool) == 0


async def test_an_upstream_connection_past_its_life_is_not_used_again(run_relay: RunRelay) -> None:
    gateway = await run_relay(upstream_life_seconds=0.0)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"), whole(b"ok"))
        for _ in range(2):
            await gateway.ask(request(close=True))
    assert upstream.accepted == 2


async def test_the_pool_keeps_no_more_than_its_caps(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_idle_upstreams_per_endpoint=2, max_idle_upstreams=3)
    together = asyncio.Event()
    async with (
        ScriptedUpstream(keys=KEYS, respond=lambda _: (WaitFor(together), *whole(b"ok"))) as one,
        ScriptedUpstream(keys=KEYS, respond=lambda _: (WaitFor(together), *whole(b"ok"))) as two,
    ):
        gateway.set_up(f"{one.origin}/v1")
        gateway.set_up(two.origin, "anthropic", key=KEY)
        clients = [await gateway.connect() for _ in range(10)]
        for number, client in enumerate(clients):
            client.send(request(provider="openai" if number % 2 else "anthropic"))
        await gateway.settled(lambda: one.accepted + two.accepted == 10)
        together.set()
        for client in clients:
            await client.read_answer()
        assert len(gateway.relay.parts.pool) == 3


async def test_a_head_over_its_limit_is_refused(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_head_bytes=2000, max_head_fields=20)
    too_long = await gateway.ask(request("GET", "/v1/models", "X: " + "x" * 3000))
    assert too_long.startswith(b"HTTP/1.1 431 ")
    too_many = await gateway.ask(request("GET", "/v1/models", *(f"X-{n}: 1" for n in range(30)), close=True))
    assert too_many.startswith(b"HTTP/1.1 431 ")


async def test_codex_may_send_60_kib_of_headers(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"))
        answer = await gateway.ask(request("GET", "/v1/models", "X-Codex: " + "j" * 60_000, close=True))
    assert answer.endswith(b"ok")


async def test_a_body_over_its_limit_is_refused_before_anything_is_sent(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_body_bytes=1000)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = await gateway.ask(request("POST", "/v1/files", "Content-Length: 1001", close=True))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"x-run9-error: body_too_large" in answer


async def test_a_chunked_body_over_its_limit_is_cut_off(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_body_bytes=1000)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Transfer-Encoding: chunked"))
        client.send(b"400\r\n" + b"x" * 1024 + b"\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n")
        head, _ = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("limit", "tokens"),
    [
        ({"max_requests_per_box": 2}, ["org-0/a", "org-0/a", "org-0/a"]),
        ({"max_requests_per_org": 2}, ["org-0/a", "org-0/b", "org-0/c"]),
        ({"max_connections_per_box": 2}, ["org-0/a", "org-0/a", "org-0/a"]),
        ({"max_connections_per_org": 2}, ["org-0/a", "org-0/b", "org-0/c"]),
    ],
)
async def test_one_too_many_is_shed_and_others_are_not(
    run_relay: RunRelay, limit: dict[str, int], tokens: list[str]
) -> None:
    gateway = await run_relay(**limit)
    hold = asyncio.Event()
    async with ScriptedUpstream(keys=None, respond=lambda _: (WaitFor(hold), *whole(b"ok"))) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        gateway.set_up(f"{upstream.origin}/v1", org="org-1", key="sk-org-1-key-0123456789abc")
        held = []
        for token in tokens[:2]:
            client = await gateway.connect()
            client.send(request("GET", "/v1/models", f"X-Run9-Box-Token: {token}"))
            held.append(client)
        await gateway.settled(lambda: len(upstream.requests) == 2)
        shed = await gateway.ask(request("GET", "/v1/models", f"X-Run9-Box-Token: {tokens[2]}", close=True))
        assert shed.startswith(b"HTTP/1.1 503 ")
        assert b"x-run9-error: overloaded" in shed
        assert b"retry-after: 2\r\n" in shed
        other = await gateway.connect()
        other.send(request("GET", "/v1/models", "X-Run9-Box-Token: org-1/a"))
        await gateway.settled(lambda: len(upstream.requests) == 3)
        hold.set()
        for client in [*held, other]:
            assert (await client.read_answer())[1] == b"ok"
            client.close()
        await gateway.settled(lambda: not gateway.connections)
        again = await gateway.ask(request("GET", "/v1/models", f"X-Run9-Box-Token: {tokens[2]}", close=True))
        assert again.endswith(b"ok")


async def test_a_box_that_does_not_read_pauses_the_upstream(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    sent = 0

    async def firehose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", str(200 * MIB))]))
        while sent < 200 * MIB:
            writer.write(b"x" * MIB)
            await writer.drain()
            sent += MIB

    async with raw_upstream(firehose) as endpoint:
        gateway.set_up(endpoint)
        slow = socket.create_connection(("127.0.0.1", gateway.port))
        try:
            slow.sendall(request())
            before, last = _resident_bytes(), -1
            while last != sent:
                last = sent
                await asyncio.sleep(0.3)
            assert sent < 60 * MIB  # what the kernel's buffers hold, and no more
            assert _resident_bytes() - before < 16 * MIB
        finally:
            slow.close()


async def test_a_box_with_many_stalled_streams_has_little_buffered_for_each_and_loses_no_byte(
    run_relay: RunRelay,
) -> None:
    full = 256 * 1024
    gateway = await run_relay(write_buffer_bytes=full, stalled_bytes_per_box=4 * full)
    body = random.Random(17).randbytes(12 * MIB)
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        clients = [await gateway.connect() for _ in range(24)]
        for client in clients:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
            client.send(request())
        stalled = [connection.transport for connection in gateway.connections]
        await gateway.settled(lambda: all(transport.write_paused for transport in stalled))
        waiting = sorted(transport.raw.get_write_buffer_size() for transport in stalled)
        assert waiting[-5] <= full, "more than four kept a full buffer and a piece"
        load = next(iter(gateway.connections)).load
        assert load is not None
        assert load.narrow

        other = await gateway.connect()
        other.send(request("GET", "/v1/models", close=True))
        assert (await other.read_answer())[1] == body, "another stream of the box does not come through"

        for client in clients:
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # it is a socket's
        assert [(await client.read_answer())[1] == body for client in clients] == [True] * len(clients)
        await gateway.settled(lambda: not load.stalled and not load.narrow)
        for client in clients:
            client.close()
        await gateway.settled(lambda: not gateway.connections)
        assert not load.connections


async def test_an_upstream_that_does_not_read_pauses_the_box(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    reading = asyncio.Event()
    received = 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        await reading.wait()
        while received < 64 * MIB:
            received += len(await reader.read(MIB))
        writer.write(head_bytes("200 OK", [("Content-Length", "0")]))

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", f"Content-Length: {64 * MIB}"))

        async def upload() -> None:
            for _ in range(64):
                client.send(b"x" * MIB)
                await client.writer.drain()

        uploading = asyncio.create_task(upload())  # noqa: TID251  # awaited below
        await asyncio.sleep(0.5)
        assert not uploading.done()
        reading.set()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await uploading
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert received == 64 * MIB


async def test_a_connection_that_still_holds_a_request_after_its_answer_is_not_used_again(
    run_relay: RunRelay,
) -> None:
    """The connection is stalled already, so no pause would come, and the next upload would be kept whole."""
    gateway = await run_relay(write_buffer_bytes=100_000)
    answer = asyncio.Event()
    connections = 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await answer.wait()
        writer.write(head_bytes("413 Content Too Large", [("Content-Length", "0")]))
        await asyncio.Event().wait()

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Transfer-Encoding: chunked"))
        await gateway.settled(lambda: connections == 1)
        box = next(iter(gateway.connections))
        while not box.transport.reading_paused:
            box.data_received(chunk_bytes(b"x" * 50_000))
            await asyncio.sleep(0)
        box.data_received(LAST_CHUNK)
        answer.set()
        assert (await client.read_head()).startswith(b"HTTP/1.1 413 ")
        client.send(request("POST", "/v1/files", f"Content-Length: {64 * MIB}") + b"y" * (64 * MIB))
        assert (await client.read_head()).startswith(b"HTTP/1.1 413 ")
        assert client.writer.transport.get_write_buffer_size() > 32 * MIB
    assert connections == 2


@pytest.mark.parametrize(
    "asked",
    [
        request("GET", "/v1/organization/x"),
        request("POST", "/v1/organization/x", body=b"x" * 500),
    ],
    ids=["without a body", "with a body"],
)
async def test_answers_of_the_gateway_do_not_pile_up_for_a_box_that_reads_none(
    run_relay: RunRelay, asked: bytes
) -> None:
    gateway, count = await run_relay(), 40_000
    client = await gateway.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
    client.send(asked * count)
    connection = next(iter(gateway.connections))
    await gateway.settled(lambda: connection.transport.reading_paused)
    answered = -1
    while answered != len(gateway.books.records):
        answered = len(gateway.books.records)
        await asyncio.sleep(0.1)
    assert answered < count
    assert connection.transport.raw.get_write_buffer_size() < MIB
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # it is a socket's
    for _ in range(count):
        await client.read_until(b"}}")
    await gateway.settled(lambda: len(gateway.books.records) == count)


async def test_a_box_that_never_reads_is_reset(run_relay: RunRelay) -> None:
    gateway = await run_relay(write_stall_seconds=0.5)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        body = b"x" * (64 * MIB)
        upstream.queue((Send(head_bytes("200 OK", [("Content-Length", str(len(body)))])), Send(body)))
        deaf = socket.create_connection(("127.0.0.1", gateway.port))
        deaf.sendall(request())
        await gateway.settled(lambda: bool(gateway.books.records))
        deaf.close()
    assert gateway.books.records[0].outcome == "client_gone"


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
