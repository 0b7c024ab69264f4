"""HTTP/1.1 through the relay, byte for byte, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from tests.relay.conftest import KEY, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, chunked, head_bytes, whole
from tests.support.scripted_upstream import Close, Pause, ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})


async def test_a_request_passes_with_its_lines_as_they_came_and_the_orgs_key(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, base_path=b"/v1/") as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b'{"a":1}', head=[("X-Request-ID", "req-1"), ("Set-Cookie", "a=b")]))
        client = await gateway.connect()
        lines = (
            "aUthorization: Bearer run9-placeholder",
            "X-sTainless-Lang: js",
            "A: 1",
            "a: 2",
            "Cookie: c=d",
        )
        client.send(request("POST", "/v1/chat/completions?x=%2F", *lines, body=b'{"q":2}'))
        head, body = await client.read_answer()
        host = upstream.origin.removeprefix("http://").encode()
    received = upstream.requests[0]
    assert received.target == b"/v1/chat/completions?x=%2F"
    assert received.head == (
        b"POST /v1/chat/completions?x=%2F HTTP/1.1\r\n"
        b"Host: " + host + b"\r\n"
        b"X-sTainless-Lang: js\r\nA: 1\r\na: 2\r\nContent-Length: 7\r\n"
        b"Authorization: Bearer " + KEY.encode() + b"\r\n\r\n"
    )
    assert received.body == b'{"q":2}'
    assert body == b'{"a":1}'
    assert b"X-Request-ID: req-1\r\n" in head
    assert b"set-cookie" not in head.lower()


async def test_a_connection_carries_many_requests_and_so_does_the_upstreams(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        for number in range(20):
            client.send(request("POST", body=b"%d" % number))
            assert (await client.read_answer())[1] == b"%d" % number
    assert upstream.accepted == 1
    assert [r.reused for r in gateway.books.records] == [False] + [True] * 19


async def test_pipelined_requests_are_answered_in_order(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(b"".join(request("POST", body=b"n%d" % number) for number in range(50)))
        for number in range(50):
            assert (await client.read_answer())[1] == b"n%d" % number


async def test_chunks_arrive_with_the_borders_they_were_sent_with(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = chunked([b"data: %d\n\n" % n for n in range(200)])
        upstream.queue(answer)
        client = await gateway.connect()
        client.send(request(close=True))
        await client.read_head()
        received = await client.read_all()
    assert received == b"".join(step.data for step in answer[1:] if isinstance(step, Send))


async def test_a_chunked_upload_keeps_its_chunks_and_trailers(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"))
        client = await gateway.connect()
        body = chunk_bytes(b"first") + b"5;ext=1\r\nsecon\r\n0\r\nChecksum: 1\r\n\r\n"
        client.send(request("POST", "/v1/files", "Transfer-Encoding: chunked"))
        for at in range(len(body)):
            client.send(body[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.read_answer())[1] == b"ok"
    assert upstream.requests[0].raw_body == body


async def test_interim_answers_pass_before_the_final_one(run_relay: RunRelay) -> None:
    gateway = await run_relay()

    async def continuing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        body = await reader.readexactly(5)
        writer.write(head_bytes("200 OK", [("Content-Length", "5")]) + body)

    async with raw_upstream(continuing) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Expect: 100-continue", "Content-Length: 5"))
        assert await client.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert await client.read_head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        client.send(b"hello")
        head, body = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answers_without_a_body_end_with_their_head(run_relay: RunRelay, status: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes(status, [("ETag", '"1"')])),), whole(b"next"))
        client = await gateway.connect()
        client.send(request())
        assert await client.read_head() == f'HTTP/1.1 {status}\r\nETag: "1"\r\n\r\n'.encode()
        client.send(request())
        assert (await client.read_answer())[1] == b"next"


async def test_a_head_request_gets_the_length_and_no_body(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes("200 OK", [("Content-Length", "1000")])),), whole(b"next"))
        client = await gateway.connect()
        client.send(request("HEAD"))
        assert b"Content-Length: 1000" in await client.read_head()
        client.send(request())
        assert (await client.read_answer())[1] == b"next"


async def test_an_answer_that_ends_with_its_connection_ends_the_boxs_cleanly(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes("200 OK", [])), Send(b"one"), Pause(0.01), Send(b"two"), Close()))
        answer = await gateway.ask(request())
    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo"


async def test_an_http_1_0_client_is_served_and_closed(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((*whole(b"ok"), Close()))
        answer = await gateway.ask(b"GET /run9/ai/openai/v1/models HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\nConnection: close\r\n\r\nok")
    assert upstream.requests[0].head.startswith(b"GET /v1/models HTTP/1.0\r\nConnection: close\r\n")


@pytest.mark.parametrize("path", ["/openai", "/openai/v1/models"])
async def test_an_http_1_0_client_that_keeps_its_connection_is_told_that_it_ends(
    run_relay: RunRelay, path: str
) -> None:
    """Only the answer's word keeps the connection (RFC 9112 §9.3); the client would wait for our close."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        if path.endswith("models"):
            upstream.queue((*whole(b"ok"), Close()))
        method = "GET" if path.endswith("models") else "HEAD"
        raw = f"{method} /run9/ai{path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
        answer = await gateway.ask(raw.encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_paths_that_are_not_the_relays_are_served_by_the_application(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    answer = await gateway.ask(b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n")
    assert answer.endswith(b'{"served_by":"the application"}')
    assert b"connection: close" in answer


async def test_a_warm_up_is_answered_here(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    client = await gateway.connect()
    for path in ("", "/", "/v1", "/v1/"):
        client.send(request("HEAD", path, provider="anthropic"))
        assert await client.read_head() == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 60",),
        ("Content-Length: 60", "Expect: 100-continue"),
        ("Transfer-Encoding: chunked",),
    ],
)
async def test_a_warm_up_with_a_body_ends_the_connection(run_relay: RunRelay, lines: tuple[str, ...]) -> None:
    """Whether the body still comes is the client's choice, so the next request might be taken for it."""
    gateway = await run_relay()
    answer = await gateway.ask(request("HEAD", "", *lines))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\nconnection: close\r\n\r\n")


async def test_an_early_answer_reaches_a_box_that_is_still_sending(run_relay: RunRelay) -> None:
    gateway = await run_relay()

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("413 Content Too Large", [("Content-Length", "3")]) + b"big")
        await writer.drain()
        await reader.read(-1)

    async with raw_upstream(refusing) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 1000000") + b"x" * 1000)
        head, body = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in head
        assert body == b"big"


async def test_a_refused_request_leaves_the_connection_usable(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        client = await gateway.connect()
        client.send(request("POST", "/v1/chat/completions", body=b"x" * 10_000))
        head, body = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"x-run9-error: integration_missing\r\n" in head
        assert b"x-should-retry: false\r\n" in head
        assert b'"code": "integration_missing"' in body
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"now"))
        client.send(request())
        assert (await client.read_answer())[1] == b"now"
