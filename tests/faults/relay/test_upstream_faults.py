"""Faults of providers on real sockets, plain and over TLS: right code, right blame, nobody else is hit."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.faults.relay.conftest import CHUNKED, Told, a_neighbour_streams
from tests.relay.conftest import KEY, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Answer, Close, Pause, Reset, ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})

BEFORE_THE_HEAD: dict[str, tuple[Answer, int, str]] = {
    "closes without an answer": ((Close(),), 502, "upstream_unreachable"),
    "resets without an answer": ((Reset(),), 502, "upstream_unreachable"),
    "closes within the head": ((Send(b"HTTP/1.1 200 OK\r\nConte"), Close()), 502, "upstream_unreachable"),
    "stalls before the head": ((Pause(3),), 504, "upstream_timeout"),
    "stalls within the head": ((Send(b"HTTP/1.1 200 OK\r\n"), Pause(3)), 504, "upstream_timeout"),
    "floods with interim answers": ((Send(b"HTTP/1.1 103 A\r\n\r\n" * 500),), 502, "upstream_invalid"),
    "floods with headers": ((Send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000),), 502, "upstream_invalid"),
    "answers no HTTP": ((Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),), 502, "upstream_invalid"),
    "answers HTTP/2": ((Send(b"\0\0\x12\4\0\0\0\0\0\r\n\r\n"),), 502, "upstream_invalid"),
    "sends two lengths": (
        (Send(head_bytes("200 OK", [("Content-Length", "1"), ("Content-Length", "2")])),),
        502,
        "upstream_invalid",
    ),
    "sends a length and chunked": (
        (Send(head_bytes("200 OK", [("Content-Length", "1"), ("Transfer-Encoding", "chunked")])),),
        502,
        "upstream_invalid",
    ),
    "sends an unknown coding": (
        (Send(head_bytes("200 OK", [("Transfer-Encoding", "gzip")])),),
        502,
        "upstream_invalid",
    ),
    "folds a header": ((Send(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"),), 502, "upstream_invalid"),
    "switches protocols unasked": (
        (Send(head_bytes("101 Switching Protocols", [("Upgrade", "websocket")])),),
        502,
        "upstream_invalid",
    ),
}


@pytest.mark.parametrize("fault", BEFORE_THE_HEAD)
async def test_a_fault_before_the_head_is_told_with_its_code_and_blame(
    run_relay: RunRelay, wire: ssl.SSLContext | None, trusting: ssl.SSLContext, fault: str
) -> None:
    answer, status, code = BEFORE_THE_HEAD[fault]
    gateway = await run_relay(tls=trusting, first_byte_seconds=0.4)
    async with a_neighbour_streams(gateway), ScriptedUpstream(keys=KEYS, tls=wire) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(answer, whole(b"well"))
        client = await gateway.connect()
        client.send(request("POST", "/v1/chat/completions", body=b"{}"))
        told = await Told.read(client)
        assert (told.status, told.code, told.source) == (status, code, "upstream")
        if not told.keeps:
            client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"well"
    assert [r.code for r in gateway.books.records if r.org == "org-0"] == [code, ""]


AFTER_THE_HEAD: dict[str, Answer] = {
    "resets": (Send(CHUNKED + chunk_bytes(b"half")), Reset()),
    "closes without the last chunk": (Send(CHUNKED + chunk_bytes(b"half")), Close()),
    "closes within a chunk": (Send(CHUNKED + chunk_bytes(b"half") + b"ff\r\nabc"), Close()),
    "closes before the length": (Send(head_bytes("200 OK", [("Content-Length", "9")]) + b"half"), Close()),
    "stalls": (Send(CHUNKED + chunk_bytes(b"half")), Pause(3)),
    "sends a bad chunk": (Send(CHUNKED + chunk_bytes(b"half")), Pause(0.02), Send(b"zz\r\n")),
    "sends a chunk too long": (Send(CHUNKED + chunk_bytes(b"half")), Pause(0.02), Send(b"1\r\nabc\r\n")),
    "sends an endless size": (Send(CHUNKED + chunk_bytes(b"half")), Pause(0.02), Send(b"0" * 10_000)),
    "sends endless trailers": (
        Send(CHUNKED + chunk_bytes(b"half")),
        Pause(0.02),
        Send(b"0\r\n" + b"X: y\r\n" * 5000),
    ),
}


@pytest.mark.parametrize("fault", AFTER_THE_HEAD)
async def test_a_fault_after_the_head_is_a_visible_break_and_never_a_clean_end(
    run_relay: RunRelay, wire: ssl.SSLContext | None, trusting: ssl.SSLContext, fault: str
) -> None:
    gateway = await run_relay(tls=trusting, idle_seconds=0.4)
    async with ScriptedUpstream(keys=KEYS, tls=wire) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(AFTER_THE_HEAD[fault], whole(b"well"))
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"half")
        with pytest.raises(ConnectionResetError):
            await client.read_all()
        client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"well"
    assert gateway.books.records[0].outcome in {"upstream_broke", "cut"}
    assert upstream.accepted == 2


async def test_one_byte_a_time_passes_whole(
    run_relay: RunRelay, wire: ssl.SSLContext | None, trusting: ssl.SSLContext
) -> None:
    gateway = await run_relay(tls=trusting, idle_seconds=2, first_byte_seconds=2)
    raw = CHUNKED + chunk_bytes(b"slowly") + b"0\r\n\r\n"
    async with ScriptedUpstream(keys=KEYS, tls=wire) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        steps = [step for byte in raw for step in (Send(bytes([byte])), Pause(0.02))]
        upstream.queue(tuple(steps))
        client = await gateway.connect()
        client.send(request())
        await client.read_head()
        assert await client.read_until(b"0\r\n\r\n") == b"6\r\nslowly\r\n0\r\n\r\n"


async def test_an_early_413_reaches_a_box_that_is_still_sending(
    run_relay: RunRelay, wire: ssl.SSLContext | None, trusting: ssl.SSLContext
) -> None:
    gateway = await run_relay(tls=trusting)

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("413 Content Too Large", [("Content-Length", "3")]) + b"big")
        await writer.drain()
        await reader.read(-1)

    async with raw_upstream(refusing, wire) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 50000000") + b"x" * 2_000_000)
        head, body = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert body == b"big"
    assert gateway.relay.open_exchanges == 0
