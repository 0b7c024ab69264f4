"""Tricks of a hostile endpoint (threats 8, 9, 13, 14): redirects, keys sent back, cookies, more answers."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from tests.relay.conftest import HANDSHAKE, KEY, BoxClient, RelayUnderTest, RunRelay, raw_upstream, request
from tests.support.answers import LAST_CHUNK, chunk_bytes, chunked, head_bytes, whole
from tests.support.canary import Canary
from tests.support.scripted_upstream import Answer, Close, Pause, ReceivedRequest, ScriptedUpstream, Send

REDIRECTS = ("301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent")
HALF = 9


async def _everything(client: BoxClient) -> bytes:
    """Read until the connection ends, in any way."""
    data = b""
    try:
        async with asyncio.timeout(10):
            while piece := await client.reader.read(65536):
                data += piece
    except ConnectionError:
        pass  # a visible break is one of the right answers
    return data


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_to_another_host_is_never_followed(
    run_relay: RunRelay, status: str, method: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream() as second, ScriptedUpstream(keys=frozenset({KEY.encode()})) as first:
        gateway.set_up(f"{first.origin}/v1")
        first.queue(whole(b"", status=status, head=[("Location", f"{second.origin}/v1/models")]))
        answer = await gateway.ask(request(method, close=True, body=b"x" if method == "POST" else b""))
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"x-run9-error: upstream_redirect" in answer
        assert second.origin.encode() not in answer
    assert second.accepted == 0


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_of_a_websocket_handshake_is_never_followed(
    run_relay: RunRelay, status: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream() as second, ScriptedUpstream(keys=frozenset({KEY.encode()})) as first:
        gateway.set_up(f"{first.origin}/v1")
        first.queue(whole(b"", status=status, head=[("Location", f"{second.origin}/v1/realtime")]))
        client = await gateway.connect()
        client.send(request("GET", "/v1/realtime", *HANDSHAKE))
        head, _ = await client.read_answer()
        assert head.startswith(b"HTTP/1.1 426 ")
    assert second.accepted == 0


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_inside_the_endpoint_reaches_the_box_as_a_gateway_path(
    run_relay: RunRelay, status: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"", status=status, head=[("Location", f"{upstream.origin}/v1/models?a=1")]))
        answer = await gateway.ask(request(close=True))
    assert b"Location: /run9/ai/openai/v1/models?a=1\r\n" in answer


def _reflections(key: str) -> dict[str, Answer]:
    """Every place of an answer, errors above all, which could carry the key back."""
    raw = key.encode()
    unauthorized = head_bytes("401 Unauthorized", [("WWW-Authenticate", f"Bearer {key}")])
    error_chunks = head_bytes("500 Oops", [("Transfer-Encoding", "chunked")])
    error_length = head_bytes("403 Forbidden", [("Content-Length", str(len(raw) + 4))])
    trailer = b"0\r\nX-Key: " + raw + b"\r\n\r\n"
    return {
        "401 body": whole(raw, status="401 Unauthorized"),
        "401 head": (Send(unauthorized + b"\r\n"), Close()),
        "401 in chunks": chunked([raw[:HALF], raw[HALF:]], status="401 Unauthorized"),
        "head of 200": whole(b"{}", head=[("X-Echo", key)]),
        "head of 200, folded into a name": whole(b"{}", head=[(key.replace("/", "-"), "1"), ("X", key)]),
        "reason": whole(b"{}", status=f"200 {key}"),
        "location": whole(b"", status="302 Found", head=[("Location", f"/v1/{key}")]),
        "location of 201": whole(b"", status="201 Created", head=[("Location", f"/v1/{key}")]),
        "error body": whole(b"your key " + raw, status="400 Bad Request"),
        "error body in two writes": (
            Send(error_length + raw[:HALF]),
            Pause(0.05),
            Send(raw[HALF:] + b"tail"),
        ),
        "error body until close": (Send(head_bytes("502 Bad", [])), Send(b"x" + raw), Close()),
        "error body in two chunks": chunked([raw[:HALF], raw[HALF:]], status="500 Oops"),
        "error body in chunks of one": chunked([raw[n : n + 1] for n in range(len(raw))], status="500 Oops"),
        "error trailer": (Send(error_chunks + chunk_bytes(b"x") + trailer),),
        "error chunk extension": (Send(error_chunks + b"1;k=" + raw + b"\r\nx\r\n0\r\n\r\n"),),
        "error chunk extension in two writes": (
            Send(error_chunks + b"1;k=" + raw[:HALF]),
            Pause(0.05),
            Send(raw[HALF:] + b"\r\nx\r\n0\r\n\r\n"),
        ),
        "error trailer in two writes": (
            Send(error_chunks + chunk_bytes(b"x") + b"0\r\nX-Key: " + raw[:HALF]),
            Pause(0.05),
            Send(raw[HALF:] + b"\r\n\r\n"),
        ),
        "interim head": (Send(head_bytes("103 Early Hints", [("Link", key)])), *whole(b"{}")),
        "no HTTP": (Send(raw + b"\r\n\r\n"), Close()),
        "a header line without end": (Send(b"HTTP/1.1 200 OK\r\nX: " + raw), Close()),
    }


@pytest.mark.parametrize("place", sorted(_reflections("")))
async def test_the_key_is_not_sent_back_to_the_box(run_relay: RunRelay, place: str) -> None:
    canary, gateway = Canary(), await run_relay()
    async with ScriptedUpstream(keys=frozenset({canary.text.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", key=canary.text)
        upstream.queue(_reflections(canary.text)[place])
        client = await gateway.connect()
        client.send(request(close=True))
        assert canary.found_in(await _everything(client), place) == []
    assert len(gateway.books.records) == 1


@pytest.mark.parametrize("trailer", ["X-Key: {}", "{}: 1", "X-Other: 1\r\nX-Key: Bearer {}, again {}"])
async def test_the_key_is_not_sent_back_in_the_trailers_of_an_error_wherever_they_are_cut(
    run_relay: RunRelay, trailer: str
) -> None:
    gateway = await run_relay()
    canary = Canary(f"sk-{secrets.token_hex(20)}")  # without the slash, which no name may hold
    lines = trailer.format(canary.text, canary.text).encode()
    begun = head_bytes("500 Oops", [("Transfer-Encoding", "chunked")]) + chunk_bytes(b"bad") + b"0\r\n"
    async with ScriptedUpstream(keys=frozenset({canary.text.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", key=canary.text)
        cuts = range(1, len(lines))
        for cut in cuts:
            upstream.queue((Send(begun + lines[:cut]), Pause(0.01), Send(lines[cut:] + b"\r\n\r\n")))
        clients = [await gateway.connect() for _ in cuts]
        for client in clients:
            client.send(request())
        for told in await asyncio.gather(*map(_everything, clients)):
            assert canary.found_in(told, "the answer") == []
    # The answers had begun, and none of them ended.
    assert {record.outcome for record in gateway.books.records} == {"upstream_broke"}


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "500 Internal Server Error"])
async def test_an_endpoint_that_echoes_the_whole_request_in_an_error_shows_no_key(
    run_relay: RunRelay, status: str
) -> None:
    canary, gateway = Canary(), await run_relay()

    def echo(received: ReceivedRequest) -> Answer:
        return whole(received.head + received.raw_body, status=status)

    async with ScriptedUpstream(keys=None, respond=echo) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", key=canary.text)
        client = await gateway.connect()
        client.send(request("POST", body=b"hello", close=True))
        assert canary.found_in(await _everything(client), "echo") == []


async def test_a_whole_error_body_without_the_key_passes_byte_for_byte_whatever_it_resembles(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay()
    near = [KEY[:n].encode() for n in range(1, len(KEY))] + [
        KEY[1:].encode(),
        b"s" * 50,
        KEY[:-1].encode() * 3,
    ]
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        for body in near:
            upstream.queue(whole(body, status="400 Bad Request"))
            client.send(request())
            assert (await client.read_answer())[1] == body
        answer = chunked(near, status="500 Oops")
        upstream.queue(answer)
        client.send(request())
        await client.read_head()
        expected = b"".join(step.data for step in answer[1:] if isinstance(step, Send))
        assert await client.read_until(LAST_CHUNK) == expected


async def test_cookies_never_cross_from_one_org_to_another_on_one_host_name(run_relay: RunRelay) -> None:
    """Two orgs at `localhost`: a cookie jar would mix up their cookies, and so would a shared pool."""
    gateway = await run_relay()
    keys = {f"org-{n}": f"sk-org-{n}-key-0123456789" for n in range(2)}

    def set_cookie(received: ReceivedRequest) -> Answer:
        owner = received.credentials[0][:8]
        return whole(owner, head=[("Set-Cookie", "session=" + owner.decode()), ("Set-Cookie", "b=c")])

    async with ScriptedUpstream(keys=frozenset(k.encode() for k in keys.values())) as upstream:
        upstream.respond = set_cookie
        for org, key in keys.items():
            gateway.set_up(f"http://localhost:{upstream.port}/v1", org=org, key=key)
        clients = {org: await gateway.connect() for org in keys}
        for _ in range(50):
            for org, client in clients.items():
                client.send(request("GET", "/v1/models", f"X-Run9-Box-Token: {org}/box", "Cookie: mine=1"))
                head, body = await client.read_answer()
                assert b"cookie" not in head.lower()
                assert body == keys[org][:8].encode()
    assert not [r for r in upstream.requests if r.values("cookie")]
    owners: dict[int, set[bytes]] = {}
    for received in upstream.requests:
        owners.setdefault(received.connection, set()).add(received.credentials[0])
    assert len(owners) == 2
    assert all(len(of) == 1 for of in owners.values())


async def test_an_answer_too_many_never_reaches_the_next_request(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    shifted = head_bytes("200 OK", [("Content-Length", "7")]) + b"shifted"

    async def generous(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            number = head.split(b" ")[1].rpartition(b"/")[2]
            writer.write(head_bytes("200 OK", [("Content-Length", str(len(number)))]) + number + shifted)

    async with raw_upstream(generous) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        for number in range(100):
            client.send(request("GET", f"/v1/{number}"))
            assert (await client.read_answer())[1] == b"%d" % number


async def _protocol_chosen(gateway: RelayUnderTest, offered: str, chosen: str) -> tuple[bytes, list[bytes]]:
    heads: list[bytes] = []

    async def choosing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")]
        if chosen:
            fields.append(("Sec-WebSocket-Protocol", chosen))
        writer.write(head_bytes("101 Switching Protocols", fields))
        await reader.read(-1)

    async with raw_upstream(choosing) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("GET", "/v1/realtime", *HANDSHAKE, f"Sec-WebSocket-Protocol: {offered}"))
        return await client.read_head(), heads


@pytest.mark.parametrize(
    ("offered", "chosen", "sent", "status"),
    [
        ("realtime, openai-insecure-api-key.sk-box-secret", "realtime", b"realtime", 101),
        ("openai-insecure-api-key.sk-box-secret, realtime, v2", "v2", b"realtime, v2", 101),
        ("realtime,OpenAI-Insecure-API-Key.sk-box-secret", "", b"realtime", 101),
        ("openai-organization.org-x,openai-project.p,realtime", "realtime", b"realtime", 101),
        ("openai-insecure-api-key.sk-box-secret", "", None, 101),
        ("realtime", "other", b"realtime", 502),
        ("openai-insecure-api-key.sk-box-secret", "openai-insecure-api-key.sk-box-secret", None, 502),
        (
            "realtime, openai-insecure-api-key.sk-box-secret",
            f"openai-insecure-api-key.{KEY}",
            b"realtime",
            502,
        ),
    ],
)
async def test_no_key_stands_in_the_protocols_of_a_handshake_in_either_direction(
    run_relay: RunRelay, offered: str, chosen: str, sent: bytes | None, status: int
) -> None:
    answer, heads = await _protocol_chosen(await run_relay(), offered, chosen)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"sk-box-secret" not in heads[0] + answer
    assert KEY.encode() not in answer
    lines = [line for line in heads[0].split(b"\r\n") if line.lower().startswith(b"sec-websocket-protocol")]
    assert lines == ([] if sent is None else [b"Sec-WebSocket-Protocol: " + sent])
