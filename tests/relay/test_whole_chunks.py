"""A piece of a single whole chunk goes past the exchange and the framing, where the rules allow.

The provider here says nothing. The test gives the pieces to the gateway's own connection, as the event loop
does, so the test knows which pieces come in the same turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.data_plane.core.integration import NotReady
from services.data_plane.core.usage.tokens import Usage
from services.data_plane.relay.exchange_stage import Stage
from services.data_plane.relay.upstream.connection import UpstreamConnection
from tests.relay.conftest import (
    HANDSHAKE,
    KEY,
    SWITCHED,
    BoxClient,
    RelayUnderTest,
    RunRelay,
    raw_upstream,
    request,
)
from tests.support.answers import LAST_CHUNK, chunk_bytes, head_bytes

CHUNKED = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
HEAD = head_bytes("200 OK", CHUNKED)
FIRST, SECOND, THIRD = (chunk_bytes(b"data: %d\n\n" % number) for number in (1, 2, 3))


class Silent:
    """A provider which takes requests and answers none of them."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await reader.read(-1)


@pytest.fixture
async def silent() -> Silent:
    return Silent()


@pytest.fixture
async def endpoint(silent: Silent) -> AsyncIterator[str]:
    async with raw_upstream(silent) as url:
        yield url


async def _ask(gateway: RelayUnderTest, client: BoxClient, raw: bytes) -> UpstreamConnection:
    """Send a request; gives the connection on which its answer is awaited."""

    def waiting() -> list[UpstreamConnection]:
        exchanges = gateway.exchanges
        return [one._upstream for one in exchanges if one.stage is Stage.SENT and one._upstream is not None]

    client.send(raw)
    await gateway.settled(lambda: bool(waiting()))
    return waiting()[0]


async def _asked(
    gateway: RelayUnderTest, endpoint: str, raw: bytes = request()
) -> tuple[BoxClient, UpstreamConnection]:
    gateway.set_up(endpoint)
    client = await gateway.connect()
    return client, await _ask(gateway, client, raw)


async def _say(upstream: UpstreamConnection, *pieces: bytes) -> None:
    """Give each piece in a turn of its own, until the connection is left."""
    for piece in pieces:
        if upstream._transport.is_closing():
            return
        upstream.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD, FIRST, SECOND, LAST_CHUNK),
        (HEAD + FIRST, SECOND, THIRD + LAST_CHUNK),
        (HEAD[:30], HEAD[30:], FIRST, SECOND[:7], SECOND[7:], THIRD, LAST_CHUNK),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", HEAD, FIRST, SECOND, LAST_CHUNK),
    ],
    ids=["head-alone", "head-and-chunk", "parts", "interim"],
)
async def test_chunks_that_come_in_one_turn_with_their_head_stay_behind_it(
    run_relay: RunRelay, endpoint: str, pieces: tuple[bytes, ...]
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint, request(close=True))
    for piece in pieces:
        upstream.data_received(piece)
    answer = await client.read_all()
    body = FIRST + b"".join(pieces).partition(FIRST)[2]
    assert answer.endswith(b"\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        (HEAD, (b"10\r\nabc", b"3\r\nabc\r\n", b"12345\r\n", LAST_CHUNK)),
        (HEAD, (SECOND + b"1", b"3\r\nabc\r\n", b"12345678901234\r\n", LAST_CHUNK)),
        (HEAD, (b"A\r\ndata: 10\n\n\r\n", b"009\r\ndata: 1\n\n\r\n", b"9 \r\ndata: 1\n\n\r\n", LAST_CHUNK)),
        (HEAD, (SECOND, b"0\r\n", b"X-Trailer: 1\r\n", b"\r\n")),
        (head_bytes("200 OK", [("Content-Length", str(4 * len(FIRST)))]), (FIRST, FIRST, FIRST)),
    ],
    ids=["inside-a-chunk", "inside-a-size", "other-sizes", "trailer", "known-length"],
)
async def test_what_only_looks_like_a_whole_chunk_is_counted_as_what_it_is(
    run_relay: RunRelay, endpoint: str, head: bytes, pieces: tuple[bytes, ...]
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, head, FIRST, *pieces)
    body = b"".join((FIRST, *pieces))
    await gateway.settled(lambda: bool(gateway.books.records))
    await client.read_head()
    assert await client.read(len(body)) == body
    assert (gateway.books.records[0].outcome, len(gateway.relay.parts.pool)) == ("answered", 1)


@pytest.mark.parametrize(
    ("before", "bad"),
    [
        (b"3\r\nabc", THIRD),
        (b"3\r\nabc\r", THIRD),
        (b"0\r\n", THIRD),
        (THIRD, THIRD[:-2] + b"\n\n"),
        (THIRD, THIRD[:-2] + b"\rX"),
    ],
    ids=["no-end", "half-an-end", "trailers", "other-end", "half-right-end"],
)
async def test_a_chunk_that_is_none_or_where_none_may_begin_is_a_visible_break(
    run_relay: RunRelay, endpoint: str, before: bytes, bad: bytes
) -> None:
    gateway = await run_relay()
    _, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND, before, bad)
    await gateway.settled(lambda: bool(gateway.books.records))
    record = gateway.books.records[0]
    assert (record.outcome, record.bytes_down) == ("upstream_broke", len(FIRST + SECOND + before))


async def test_a_chunk_after_the_answer_reaches_nobody_and_ends_its_connection(
    run_relay: RunRelay, endpoint: str
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND, LAST_CHUNK, THIRD)
    await client.read_head()
    assert await client.read_until(LAST_CHUNK) == FIRST + SECOND + LAST_CHUNK
    assert len(gateway.relay.parts.pool) == 0
    other = await _ask(gateway, client, request())
    assert other is not upstream
    await _say(other, HEAD, FIRST, LAST_CHUNK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_the_next_answer_on_a_connection_goes_to_its_own_box_however_it_looks(
    run_relay: RunRelay, endpoint: str
) -> None:
    gateway = await run_relay()
    first, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND, LAST_CHUNK)
    await first.read_until(LAST_CHUNK)
    second = await gateway.connect()
    raw = request("GET", "/v1/models", "X-Run9-Box-Token: org-0/box-1")
    assert await _ask(gateway, second, raw) is upstream
    await _say(upstream, head_bytes("200 OK", [("Content-Length", str(len(THIRD)))]), THIRD)
    assert (await second.read_answer())[1] == THIRD
    assert await _ask(gateway, first, request()) is upstream
    await _say(upstream, HEAD, FIRST, LAST_CHUNK)
    assert (await first.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert await first.read_until(LAST_CHUNK) == FIRST + LAST_CHUNK


@pytest.mark.parametrize(
    "pieces", [(FIRST, SECOND, THIRD), (FIRST + SECOND + THIRD,)], ids=["each", "at-once"]
)
@pytest.mark.parametrize("outcome", ["answered", "cut", "client_gone", "upstream_broke"])
async def test_whole_chunks_are_booked_however_the_answer_ends(
    run_relay: RunRelay, silent: Silent, endpoint: str, pieces: tuple[bytes, ...], outcome: str
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, *pieces)
    await client.read_until(THIRD)
    endings: dict[str, Callable[[], None]] = {
        "answered": lambda: upstream.data_received(LAST_CHUNK),
        "cut": lambda: gateway.change(NotReady.DISABLED),
        "client_gone": client.abort,
        "upstream_broke": silent.writers[0].transport.abort,
    }
    endings[outcome]()
    await gateway.settled(lambda: bool(gateway.books.records))
    record, last = gateway.books.records[0], LAST_CHUNK if outcome == "answered" else b""
    assert (record.outcome, record.bytes_down) == (outcome, len(FIRST + SECOND + THIRD + last))


async def test_each_exchange_of_a_connection_is_booked_with_its_own_bytes(
    run_relay: RunRelay, silent: Silent, endpoint: str
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND, LAST_CHUNK)
    await _ask(gateway, client, request())
    await _say(upstream, HEAD, FIRST, SECOND, THIRD, LAST_CHUNK)
    await _ask(gateway, client, request("POST", body=b"{}"))
    await _say(upstream, b"HTTP/1.1 200\r\nno head\r\n\r\n")
    other = await _ask(gateway, client, request("GET", "/v1/realtime", *HANDSHAKE))
    await _say(other, SWITCHED, FIRST, SECOND)
    silent.writers[1].close()
    await gateway.settled(lambda: len(gateway.books.records) == 4)
    assert [(record.outcome, record.bytes_down) for record in gateway.books.records] == [
        ("answered", len(FIRST + SECOND + LAST_CHUNK)),
        ("answered", len(FIRST + SECOND + THIRD + LAST_CHUNK)),
        ("rejected", 0),
        ("spliced", len(FIRST + SECOND)),
    ]


async def test_an_answer_that_is_asked_for_again_is_booked_once(
    run_relay: RunRelay, silent: Silent, endpoint: str
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND, LAST_CHUNK)
    assert await _ask(gateway, client, request()) is upstream
    silent.writers[0].transport.abort()
    await gateway.settled(lambda: len(silent.writers) == 2)
    await gateway.settled(lambda: gateway.exchanges[0].stage is Stage.SENT)
    fresh = gateway.exchanges[0]._upstream
    assert fresh is not None
    await _say(fresh, HEAD, FIRST, LAST_CHUNK)
    assert [record.bytes_down for record in gateway.books.records] == [
        len(FIRST + SECOND + LAST_CHUNK),
        len(FIRST + LAST_CHUNK),
    ]


@pytest.mark.parametrize(
    ("raw", "head"),
    [(request(), HEAD), (request("GET", "/v1/realtime", *HANDSHAKE), SWITCHED)],
    ids=["stream", "splice"],
)
async def test_chunks_that_keep_coming_are_no_silence(
    run_relay: RunRelay, endpoint: str, raw: bytes, head: bytes
) -> None:
    gateway = await run_relay(idle_seconds=0.6)
    _, upstream = await _asked(gateway, endpoint, raw)
    await _say(upstream, head)
    for _ in range(40):
        await _say(upstream, SECOND)
        await asyncio.sleep(0.05)
    assert not gateway.books.records
    await gateway.settled(lambda: bool(gateway.books.records))
    record = gateway.books.records[0]
    assert (record.outcome, record.code, record.bytes_down) == ("cut", "upstream_timeout", 40 * len(SECOND))


@pytest.mark.parametrize("narrow", [False, True], ids=["usual", "narrow"])
async def test_chunks_pause_the_provider_of_a_box_that_does_not_read_and_none_is_lost(
    run_relay: RunRelay,
    endpoint: str,
    narrow: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    full = 64 * 1024
    gateway = await run_relay(write_buffer_bytes=full)
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST)
    await client.read_until(FIRST)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
    box, sent = next(iter(gateway.connections)).transport, list[bytes]()
    if narrow:
        box.hold_at_most(0)
    while not upstream._paused:
        assert len(sent) < 16_384, "64 MiB wait for a box that reads nothing"
        sent.append(chunk_bytes(b"%4080d" % len(sent)))
        await _say(upstream, sent[-1])
    assert box.raw.get_write_buffer_size() <= len(sent[-1]) + (0 if narrow else full)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # it is a socket's
    assert await client.read(sum(map(len, sent))) == b"".join(sent)
    await gateway.settled(lambda: not upstream._paused)
    await _say(upstream, SECOND, LAST_CHUNK)
    assert await client.read_until(LAST_CHUNK) == SECOND + LAST_CHUNK


async def test_a_cut_leaves_no_way_for_what_the_provider_still_sends(
    run_relay: RunRelay, endpoint: str
) -> None:
    gateway = await run_relay(write_buffer_bytes=64 * 1024)
    client, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
    while not upstream._paused:
        await _say(upstream, chunk_bytes(b"x" * 4080))
    box = next(iter(gateway.connections)).transport
    gateway.change(NotReady.DISABLED)
    waiting = box.raw.get_write_buffer_size()
    assert waiting
    upstream.data_received(THIRD)
    assert box.raw.get_write_buffer_size() == waiting
    assert gateway.books.records[0].outcome == "cut"


async def test_a_chunk_in_the_turn_in_which_its_box_is_reset_harms_nothing(
    run_relay: RunRelay, endpoint: str
) -> None:
    gateway = await run_relay()
    _, upstream = await _asked(gateway, endpoint)
    await _say(upstream, HEAD, FIRST, SECOND)
    next(iter(gateway.connections)).transport.reset()
    upstream.data_received(THIRD)
    await gateway.settled(lambda: bool(gateway.books.records))
    assert gateway.books.records[0].outcome == "client_gone"
    assert upstream._transport.is_closing()


async def test_usage_is_read_from_whole_chunks(run_relay: RunRelay, endpoint: str) -> None:
    gateway = await run_relay()
    _, upstream = await _asked(gateway, endpoint, request("POST", body=b"{}"))
    usage = chunk_bytes(b'data: {"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\n')
    await _say(upstream, HEAD, *[FIRST] * 200, usage, b"e\r\ndata: [DONE]\n\n\r\n", LAST_CHUNK)
    assert [record.usage for record in gateway.books.records] == [Usage(7, 0, 0, 5, 0)]


async def test_the_chunks_of_an_error_are_looked_through_one_by_one(
    run_relay: RunRelay, endpoint: str
) -> None:
    gateway = await run_relay()
    client, upstream = await _asked(gateway, endpoint)
    key = KEY.encode()
    error = head_bytes("400 Bad Request", CHUNKED)
    await _say(upstream, error, FIRST, SECOND, THIRD)
    await client.read_until(THIRD)
    await _say(upstream, chunk_bytes(key[:9]), chunk_bytes(key[9:]))
    await gateway.settled(lambda: bool(gateway.books.records))
    assert gateway.books.records[0].outcome == "upstream_broke"
    with pytest.raises(ConnectionResetError):
        await client.read_until(key[9:])
