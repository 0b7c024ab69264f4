"""What becomes of a box's connections when its node or life has ended, or when its token has expired."""

from __future__ import annotations

import asyncio

import pytest

from shared.box_token import Box
from shared.clock import unix_now
from tests.relay.conftest import (
    HANDSHAKE,
    SWITCHED,
    BoxClient,
    Handler,
    NamedIdentity,
    RelayUnderTest,
    RunRelay,
    raw_upstream,
    request,
)
from tests.support.answers import head_bytes

EVENTS = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
WHOLE = head_bytes("200 OK", [("Content-Length", "2")]) + b"ok"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # a handler's signature
    await reader.read(-1)


async def streaming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(EVENTS + b"3\r\nabc\r\n")
    await reader.read(-1)


async def switching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(SWITCHED)
    await reader.read(-1)


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)


def revoke(under_test: RelayUnderTest, box: str = "box-0") -> None:
    under_test.relay.revoke(lambda one: one.box == box, "its node was removed")


async def reset(client: BoxClient) -> bool:
    try:
        await client.read_all()
    except ConnectionResetError:
        return True
    return False


async def test_a_request_in_flight_is_answered_and_its_connection_ends(run_relay: RunRelay) -> None:
    under_test = await run_relay()
    async with raw_upstream(silent) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request())
        await under_test.settled(lambda: under_test.relay.open_exchanges == 1)
        revoke(under_test)
        answer = await client.read_all()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-run9-error: box_identity_required" in answer
    assert b"connection: close" in answer
    assert under_test.books.records[0].code == "box_identity_required"


@pytest.mark.parametrize(("handler", "lines"), [(streaming, ()), (switching, HANDSHAKE)])
async def test_a_stream_and_a_web_socket_are_visibly_cut(
    run_relay: RunRelay, handler: Handler, lines: tuple[str, ...]
) -> None:
    under_test = await run_relay()
    async with raw_upstream(handler) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request("GET", "/v1/responses", *lines))
        await client.read_head()
        revoke(under_test)
        assert await reset(client)
    assert under_test.books.records[0].outcome == "cut"
    assert under_test.books.records[0].code == "box_identity_required"


@pytest.mark.parametrize("begun", [b"", b"GET /run9/ai/openai/v1/mod"])
async def test_a_quiet_connection_is_closed(run_relay: RunRelay, begun: bytes) -> None:
    under_test = await run_relay()
    async with raw_upstream(answering) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request())
        await client.read_answer()
        client.send(begun)
        await asyncio.sleep(0.05)
        revoke(under_test)
        assert await client.read_all() == b""


async def test_other_boxes_go_on(run_relay: RunRelay) -> None:
    under_test = await run_relay()
    async with raw_upstream(answering) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request())
        await client.read_answer()
        revoke(under_test, "box-1")
        client.send(request(close=True))
        assert (await client.read_answer())[1] == b"ok"


async def test_a_request_after_the_tokens_end_is_answered_and_is_the_last(run_relay: RunRelay) -> None:
    identity = NamedIdentity(unix_now() + 3600)
    under_test = await run_relay(identity=identity)
    async with raw_upstream(answering) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request())
        head, _ = await client.read_answer()
        assert b"connection: close" not in head.lower()
        identity.expires_at = unix_now() - 1
        client.send(request())
        rest = await client.read_all()
    assert b"connection: close" in rest.lower()
    assert rest.endswith(b"ok")


@pytest.mark.parametrize(("handler", "lines"), [(streaming, ()), (switching, HANDSHAKE)])
async def test_no_exchange_outlives_its_token_by_more_than_the_limit(
    run_relay: RunRelay, handler: Handler, lines: tuple[str, ...]
) -> None:
    under_test = await run_relay(identity=NamedIdentity(unix_now()), exchange_past_token_seconds=1.0)
    async with raw_upstream(handler) as endpoint:
        under_test.set_up(endpoint)
        client = await under_test.connect()
        client.send(request("GET", "/v1/responses", *lines))
        await client.read_head()
        assert await reset(client)
    assert under_test.books.records[0].code == "box_identity_required"


async def test_a_connection_that_has_proved_no_box_is_not_asked(run_relay: RunRelay) -> None:
    under_test = await run_relay()
    client = await under_test.connect()
    await under_test.settled(lambda: len(under_test.relay.connection_limits.connections) == 1)

    def never(box: Box) -> bool:
        raise AssertionError(box)

    under_test.relay.revoke(never, "its node was removed")
    assert not client.reader.at_eof()
