"""The scripted upstream keeps its requests, and reports each broken invariant."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.support.answers import chunked, json_answer
from tests.support.scripted_upstream import Reset, ScriptedUpstream

KEYS = frozenset({b"sk-right"})
GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-right\r\n\r\n"


async def exchange(upstream: ScriptedUpstream, request: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(request)
    try:
        return await reader.readuntil(until)
    finally:
        writer.close()


async def one_exchange(upstream: ScriptedUpstream, request: bytes) -> None:
    async with upstream:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await exchange(upstream, request)


async def test_a_request_is_kept_byte_for_byte_and_answered_as_planned() -> None:
    async with ScriptedUpstream(keys=KEYS, base_path=b"/v1/") as upstream:
        upstream.queue(json_answer({"ok": True}))
        answer = await exchange(upstream, GET, b"}")
        assert answer.endswith(b'{"ok": true}')
        (request,) = upstream.requests
        assert request.head == GET
        assert request.headers == ((b"Host", b"x"), (b"Authorization", b"Bearer sk-right"))


async def test_a_chunked_body_is_kept_with_and_without_its_framing() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.queue(chunked([b"data: 1\n\n", b"data: 2\n\n"]))
        body = b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nt: 1\r\n\r\n"
        request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        answer = await exchange(upstream, request, b"0\r\n\r\n")
        assert answer.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        assert (upstream.requests[0].raw_body, upstream.requests[0].body) == (body, b"abcd")


@pytest.mark.parametrize(
    ("request_bytes", "fault"),
    [
        (GET.replace(b"sk-right", b"sk-wrong"), "not an expected key"),
        (GET.replace(b"Host: x", b"x-api-key: sk-right"), "2 credentials"),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", "0 credentials"),
        (GET.replace(b"/v1/models", b"/v2/models"), "outside"),
    ],
)
async def test_a_broken_invariant_fails_the_test(request_bytes: bytes, fault: str) -> None:
    upstream = ScriptedUpstream(keys=KEYS, base_path=b"/v1/", respond=lambda _: json_answer({}))
    with pytest.raises(AssertionError, match=fault):
        await one_exchange(upstream, request_bytes)
    assert "sk-" not in "".join(upstream.faults)


async def test_a_request_too_many_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="one request too many"):
        await one_exchange(ScriptedUpstream(), GET)


async def test_an_answer_nobody_asked_for_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="never asked for"):
        async with ScriptedUpstream() as upstream:
            upstream.queue(json_answer({}))


async def test_a_reset_is_seen_as_one_and_closes_are_counted() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.queue((Reset(),))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await exchange(upstream, GET)
        await upstream.wait_for(lambda: upstream.closed == 1)
