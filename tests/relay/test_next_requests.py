"""The bytes after a request on its connection: pipelined bytes, refused requests, hand-overs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import pytest

from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from shared.endpoint import Endpoint
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

KEYS = frozenset({KEY.encode()})
STATUS_PAGE = b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
MIB = 1024 * 1024
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def test_a_next_request_may_come_in_a_segment_of_its_own_before_the_answer(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, hold = await run_relay(), asyncio.Event()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: (WaitFor(hold), *whole(r.body))) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", body=b"first"))
        await gateway.settled(lambda: len(upstream.requests) == 1)
        for byte in request("POST", body=b"second"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        hold.set()
        assert (await client.read_answer())[1] == b"first"
        assert (await client.read_answer())[1] == b"second"
    assert caplog.records == []


async def test_a_request_in_the_segment_of_the_last_chunk_is_the_next_one(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Transfer-Encoding: chunked") + b"3\r\nab")
        await gateway.settled(lambda: len(gateway.relay.parts.pool) == 0 and upstream.accepted == 1)
        second = request("POST", body=b"second")
        client.send(b"c\r\n0\r\nX-Checksum: 1\r\n\r\n" + second[:20])
        await asyncio.sleep(0.02)
        client.send(second[20:] + request("POST", body=b"third"))
        for expected in (b"abc", b"second", b"third"):
            assert (await client.read_answer())[1] == expected
    assert upstream.requests[0].raw_body == b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n"


async def test_bytes_that_arrive_before_held_ones_are_read_stay_behind_them(run_relay: RunRelay) -> None:
    """The loop may report a readable socket before running the put-off call for the held bytes."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        await gateway.settled(lambda: len(gateway.connections) == 1)
        connection = next(iter(gateway.connections))
        refused = request("GET", "/v1/organization/admin_api_keys")
        second = request(
            "POST", body=b"GET /run9/ai/openai/v1/smuggled HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
        )
        cut = second.index(b"GET /run9")
        connection.data_received(refused + second[:cut])
        connection.data_received(second[cut:])
        assert (await client.read_answer())[0].startswith(b"HTTP/1.1 400 ")
        assert (await client.read_answer())[1] == second[cut:]
    assert [r.target for r in upstream.requests] == [b"/v1/models"]


async def test_a_body_that_ends_while_its_connection_is_opened_does_not_leave_the_box_unread(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay(write_buffer_bytes=1000)
    loading, loaded, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def load() -> None:
        loading.set()
        await loaded.wait()
        gateway.table.rows["org-0", "openai"] = row

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # never answers
        await reader.read(-1)
        gone.set()

    async with raw_upstream(silent) as endpoint:
        gateway.set_up(endpoint)
        row = gateway.table.rows["org-0", "openai"]
        gateway.table.hold_loading("org-0", "openai", load)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 5000"))
        await loading.wait()
        client.send(b"x" * 5000)
        await asyncio.sleep(0.05)
        loaded.set()
        await asyncio.sleep(0.05)
        client.abort()
        async with asyncio.timeout(5):
            await gone.wait()
    await gateway.settled(lambda: [r.outcome for r in gateway.books.records] == ["client_gone"])


class NarrowDialer(Dialer):
    """Dials with send buffers as small as a distant provider's are at first."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def dial(
        self,
        endpoint: Endpoint,  # noqa: ARG002  # there is one
        factory: Callable[[], UpstreamConnection],
    ) -> UpstreamConnection:
        loop, narrow = asyncio.get_running_loop(), socket.socket()
        narrow.setblocking(False)
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        await loop.sock_connect(narrow, ("127.0.0.1", self._port))
        connection = factory()
        await loop.create_connection(lambda: cast("asyncio.Protocol", connection), sock=narrow)
        return connection


async def test_a_provider_that_stalls_at_once_keeps_the_box_paused(run_relay: RunRelay) -> None:
    """The bytes waiting for the connection may already be more than the provider takes."""
    gateway = await run_relay(write_buffer_bytes=100_000)
    loading, loaded, reading = asyncio.Event(), asyncio.Event(), asyncio.Event()
    size, received = 24 * MIB, list[bytes]()

    async def load() -> None:
        loading.set()
        await loaded.wait()
        gateway.table.rows["org-0", "openai"] = row

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # never answers
        await reading.wait()
        received.append(await reader.readexactly(MIB))

    async with raw_upstream(deaf) as endpoint:
        gateway.set_up(endpoint)
        port = int(endpoint.rpartition(":")[2].partition("/")[0])
        parts = gateway.relay.parts
        parts.pool = Pool(NarrowDialer(port), parts.limits, parts.batch, TemplateStore())
        row = gateway.table.rows["org-0", "openai"]
        gateway.table.hold_loading("org-0", "openai", load)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", f"Content-Length: {size}") + b"x" * size)
        await loading.wait()
        await asyncio.sleep(0.1)
        loaded.set()
        await asyncio.sleep(0.5)
        assert gateway.books.records == []
        assert client.writer.transport.get_write_buffer_size() > size / 2
        reading.set()
        await gateway.settled(lambda: bool(received))


async def _gateway_with_echo(run_relay: RunRelay, upstream: ScriptedUpstream) -> RelayUnderTest:
    gateway = await run_relay(max_body_bytes=100_000)
    gateway.set_up(f"{upstream.origin}/v1")
    return gateway


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("route_not_allowed", request("GET", "/v1/organization/admin_api_keys")),
        ("route_not_allowed", request("POST", "/v1/organization/admin_api_keys", body=b"x" * 5000)),
        ("integration_missing", request("POST", provider="anthropic", body=b"x" * 5000)),
        ("method_not_allowed", request("TRACE")),
        ("browser_request_refused", request("POST", "/v1/x", "Origin: https://evil.example", body=b"a=b")),
        ("body_too_large", request("POST", "/v1/files", body=b"x" * 100_001)),
        ("", request("HEAD", "")),
    ],
)
async def test_a_connection_is_sane_after_a_refusal_that_keeps_it(
    run_relay: RunRelay, code: str, refused: bytes
) -> None:
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway = await _gateway_with_echo(run_relay, upstream)
        client = await gateway.connect()
        for number in range(3):
            client.send(refused + request("POST", body=b"n%d" % number))
            head = await client.read_head()
            assert f"x-run9-error: {code}\r\n".encode() in head if code else head.startswith(b"HTTP/1.1 200")
            if not refused.startswith(b"HEAD"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await client.read(length)
            assert (await client.read_answer())[1] == b"n%d" % number
    codes = [r.code for r in gateway.books.records]
    assert codes == [code, ""] * 3


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (400, b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost : 10.0.2.2:1000\r\n\r\n"),
        (400, request("POST", "/v1/x", "Content-Length: 5", "Transfer-Encoding: chunked")),
        (431, request("GET", "/v1/x", *(f"X-{n}: 1" for n in range(200)))),
        (400, request("POST", "/v1/organization/x", "Transfer-Encoding: chunked") + b"5\r\n"),
        (400, request("POST", "/v1/organization/x", "Expect: a, 100-continue", "Content-Length: 99")),
        (400, request("POST", "/v1/files", "Transfer-Encoding: chunked") + b"5\r\nabcdeX"),
        (413, request("POST", "/v1/files", "Content-Length: 99999999")),
    ],
)
async def test_a_connection_ends_after_a_refusal_whose_end_is_in_doubt(
    run_relay: RunRelay, status: int, refused: bytes
) -> None:
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"smuggled")) as upstream:
        gateway = await _gateway_with_echo(run_relay, upstream)
        client = await gateway.connect()
        client.send(refused + request("GET", "/v1/smuggled"))
        head, _ = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in head
        assert await client.read_all() == b""
    assert not [r for r in upstream.requests if b"smuggled" in r.target]


async def test_an_error_answer_to_a_head_request_has_no_body_and_keeps_the_connection(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        not_found = head_bytes("404 Not Found", [("Content-Length", "500")])
        upstream.queue((Send(not_found),), whole(b"next"))
        client = await gateway.connect()
        client.send(request("HEAD", "/v1/nothing") + request("HEAD", "/v1/organization/x") + request())
        assert b"Content-Length: 500" in await client.read_head()
        assert b"x-run9-error: route_not_allowed" in await client.read_head()
        assert (await client.read_answer())[1] == b"next"


async def test_a_request_with_expect_that_is_refused_ends_the_connection(run_relay: RunRelay) -> None:
    """Whether its body still comes is the client's choice (RFC 9110 §10.1.1), so nothing may be read on."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Expect: 100-continue", "Content-Length: 60"))
        head, _ = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"connection: close" in head
        client.send(request("GET", "/v1/smuggled"))
        assert await client.read_all() == b""
    assert upstream.requests == []


async def test_an_early_final_answer_to_expect_reaches_the_box_and_ends_both_connections(
    run_relay: RunRelay,
) -> None:
    gateway, requests = await run_relay(), list[bytes]()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head_bytes("417 Expectation Failed", [("Content-Length", "2")]) + b"no")
        requests.append(await reader.read(-1))

    async with raw_upstream(early) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Expect: 100-continue", "Content-Length: 60"))
        head, body = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 417 ")
        assert b"Connection: close" in head
        assert body == b"no"
        client.send(request("GET", "/v1/smuggled"))
        assert await client.read_all() == b""
        await gateway.settled(lambda: len(requests) == 2)
    assert requests[1] == b""
    assert len(gateway.relay.parts.pool) == 0


async def test_the_application_answers_once_whatever_is_pipelined_behind_its_request(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        for behind in (
            request("GET", "/v1/models"),
            STATUS_PAGE,
            b"\x00\xff garbage\r\n\r\n",
            b"rubbish\r\n\r\n",
        ):
            answer = await gateway.ask(STATUS_PAGE + behind)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b'{"served_by":"the application"}')
    assert upstream.requests == []
    assert caplog.records == []


async def test_a_hand_over_after_relayed_requests_and_with_a_body_is_answered(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        for framed in (
            b"Content-Length: 4\r\n\r\nbody",
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk_bytes(b"body") + b"0\r\n\r\n",
        ):
            client = await gateway.connect()
            posted = b"POST /elsewhere HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n" + framed
            client.send(request("POST", body=b"one") + posted + request("GET", "/v1/smuggled"))
            assert (await client.read_answer())[1] == b"one"
            rest = await client.read_all()
            assert rest.startswith(b"HTTP/1.1 404 ")
            assert rest.count(b"HTTP/1.1 ") == 1
    assert len(upstream.requests) == 2
    assert gateway.relay.connection_limits.open_exchanges == 0


async def test_closing_the_relay_ends_and_books_what_is_under_way(run_relay: RunRelay) -> None:
    gateway, gone = await run_relay(), list[bytes]()

    async def streaming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/begun" in head:
            writer.write(head_bytes("200 OK", [("Transfer-Encoding", "chunked")]) + chunk_bytes(b"data"))
        await reader.read(-1)
        gone.append(head)

    async with raw_upstream(streaming) as endpoint:
        gateway.set_up(endpoint)
        begun, waiting = await gateway.connect(), await gateway.connect()
        begun.send(request("GET", "/v1/begun"))
        await begun.read_until(b"data")
        waiting.send(request("GET", "/v1/waiting"))
        await gateway.settled(lambda: gateway.relay.open_exchanges == 2)
        await asyncio.sleep(0.05)
        await gateway.relay.aclose()
        await gateway.settled(lambda: len(gone) == 2)
    assert gateway.relay.open_exchanges == 0
    assert sorted(r.outcome for r in gateway.books.records) == ["cut", "rejected"]


async def test_a_box_that_pipelines_without_end_is_held_within_its_bounds(run_relay: RunRelay) -> None:
    """Requests answered at once, followed by a head in the middle of a piece."""
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        refused = request("GET", "/v1/organization/x", "X-Pad: " + "x" * 1000)
        client.send(refused * 3000 + request("POST", body=b"y" * 400_000) + STATUS_PAGE)
        connection = next(iter(gateway.connections))
        most = 0
        for _ in range(3000):
            assert (await client.read_answer())[0].startswith(b"HTTP/1.1 400 ")
            most = max(most, len(connection._reader.held))
        assert (await client.read_answer())[1] == b"y" * 400_000
        assert (await client.read_all()).endswith(b'{"served_by":"the application"}')
    assert 100_000 < most < MIB


async def test_a_hand_over_behind_a_lot_of_pipelined_bytes_is_read_to_its_end(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    client = await gateway.connect()
    posted = b"POST /elsewhere HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nContent-Length: 900000\r\n\r\n"
    refused = request("GET", "/v1/organization/x", "X-Pad: " + "x" * 1000)
    client.send(refused * 1000 + posted + b"z" * 900_000)
    for _ in range(1000):
        assert (await client.read_answer())[0].startswith(b"HTTP/1.1 400 ")
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def test_an_unknown_method_outside_the_providers_paths_is_refused_and_keeps_the_connection(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay()
    client = await gateway.connect()
    client.send(b"BREW" + STATUS_PAGE[3:] + STATUS_PAGE)
    head, _ = await client.read_answer()
    assert b"x-run9-error: method_not_allowed\r\n" in head
    assert (await client.read_all()).endswith(b'{"served_by":"the application"}')
    assert caplog.records == []
