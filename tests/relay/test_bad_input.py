"""Every row of docs/bad-input.md holds on real sockets, and the page is the one that the rows make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.relay.conftest import KEY, BoxClient, RelayUnderTest, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, head_bytes, whole
from tests.support.scripted_upstream import Pause, ScriptedUpstream, Send, WaitFor
from tools import bad_input_page
from tools.bad_input import BAD_ANSWERS, BAD_REQUESTS, BadAnswer, BadRequest

NEIGHBOURS_KEY = "sk-neighbours-key-0123456789"


def _what(row: BadRequest | BadAnswer) -> str:
    return row.what


@asynccontextmanager
async def _undisturbed(gateway: RelayUnderTest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """A neighbour's stream begins before the body runs and ends well after it; nothing is logged."""
    go_on = asyncio.Event()
    begun = Send(head_bytes("200 OK", [("Transfer-Encoding", "chunked")]) + chunk_bytes(b"first"))
    async with ScriptedUpstream(keys=frozenset({NEIGHBOURS_KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", org="org-1", key=NEIGHBOURS_KEY)
        pieces = 30 if gateway.relay.parts.limits.idle_seconds < 1 else 1
        trickle = [step for _ in range(pieces) for step in (Pause(0.02), Send(chunk_bytes(b"more")))]
        upstream.queue((begun, *trickle, WaitFor(go_on), Send(b"0\r\n\r\n")))
        neighbour = await gateway.connect()
        neighbour.send(request("GET", "/v1/models", "X-Run9-Box-Token: org-1/box"))
        await neighbour.read_until(b"first\r\n")
        yield
        go_on.set()
        assert await neighbour.read_until(b"0\r\n\r\n") == chunk_bytes(b"more") * pieces + b"0\r\n\r\n"
    assert [record.getMessage() for record in caplog.records] == []


async def _told(client: BoxClient, asked: bytes) -> bytes:
    if asked.startswith(b"HEAD "):
        return await client.read_head()
    head, _ = await client.read_answer()
    while head.startswith(b"HTTP/1.1 1"):
        head, _ = await client.read_answer()
    return head


@pytest.mark.parametrize("row", BAD_REQUESTS, ids=_what)
async def test_bad_input_of_a_box_is_answered_as_its_row_says(
    run_relay: RunRelay, row: BadRequest, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay(**row.limits)
    async with (
        _undisturbed(gateway, caplog),
        ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: whole(b"ok")) as upstream,
    ):
        gateway.set_up(f"{upstream.origin}/v1")
        if "max_requests_per_box" in row.limits:
            await _fill(gateway)
        client = await gateway.connect()
        client.send(row.raw)
        head = await _told(client, row.raw)
        assert int(head[9:12]) == row.answer.status
        assert f"x-run9-error: {row.answer.code}\r\n".encode() in head
        assert upstream.requests == []
        if row.ending == "ends":
            assert await client.read_all() == b""
        else:
            client.send(row.raw)
            assert await _told(client, row.raw)
    assert row.answer.code in {record.code for record in gateway.books.records}


async def _fill(gateway: RelayUnderTest) -> None:
    """Take every place of the box by requests that wait for their secret."""
    never = asyncio.Event()

    async def wait() -> None:
        await never.wait()

    ready = gateway.table.rows["org-0", "openai"]
    gateway.table.hold_loading("org-0", "openai", wait)
    places = gateway.relay.parts.limits.max_requests_per_box
    for _ in range(places):
        (await gateway.connect()).send(request())
    await gateway.settled(lambda: gateway.relay.open_exchanges == places + 1)
    gateway.table.rows["org-0", "openai"] = ready


@pytest.mark.parametrize("row", BAD_ANSWERS, ids=_what)
async def test_bad_input_of_an_endpoint_is_answered_as_its_row_says(
    run_relay: RunRelay, row: BadAnswer, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, accepted = await run_relay(**row.limits), 0

    async def misbehaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await reader.readuntil(b"\r\n\r\n")
        if accepted > 1:
            writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
            return
        half = row.raw.find(b"half") + 6 if row.answer is None else len(row.raw)
        writer.write(row.raw[:half])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(row.raw[half:])
        if row.holds:
            await reader.read(-1)

    async with _undisturbed(gateway, caplog), raw_upstream(misbehaving) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request("POST", body=b"{}"))
        if row.answer is None:
            await client.read_until(b"half")
            with pytest.raises(ConnectionResetError):
                await client.read_all()
        else:
            head = await _told(client, request())
            assert int(head[9:12]) == row.answer.status
            assert f"x-run9-error: {row.answer.code}\r\n".encode() in head
        assert (await gateway.ask(request(close=True))).endswith(b"ok")
    assert accepted == 2


def test_the_page_on_bad_input_is_the_one_that_the_rows_make() -> None:
    written = bad_input_page.PAGE.read_text()
    assert written == bad_input_page.page(), "Run `make docs` and commit docs/bad-input.md."
