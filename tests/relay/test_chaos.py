"""Everything at once, in random order: boxes, providers and configuration; the books must still balance."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

import pytest

from services.data_plane.core.integration import NotReady
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, raw_upstream, request
from tests.support.answers import chunk_bytes, head_bytes

ROUNDS, NIGHTLY_ROUNDS = 600, 15_000
AT_ONCE = 30
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCHED = head_bytes("101 Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "websocket")])


@dataclass
class MoodyProvider:
    """A provider that answers each request in a random way, right or wrong."""

    dice: random.Random
    heads: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A body where a head was looked for; a transport that the relay has ended.
        with contextlib.suppress(asyncio.LimitOverrunError, RuntimeError):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.dice.random() < 0.5:
                await asyncio.sleep(self.dice.random() * 0.01)
            for piece in self._answer(head):
                writer.write(piece)
                if self.dice.random() < 0.3:
                    await asyncio.sleep(self.dice.random() * 0.003)
            await writer.drain()
            if self.dice.random() < 0.1:
                writer.transport.abort()
            if self.dice.random() < 0.1:
                return
            if b"ontent-" in head or b"ransfer-" in head:
                await self._skip_body(reader)

    def _answer(self, head: bytes) -> list[bytes]:
        big = b"x" * self.dice.choice([1, 100, 50_000, 900_000])
        chunked = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
        sized = head_bytes("200 OK", [("Content-Length", str(len(big)))])
        right = [
            [sized + big],
            [sized, big],
            [chunked, chunk_bytes(big), b"0\r\n\r\n"],
            [b"HTTP/1.1 100 Continue\r\n\r\n", sized, big],
            [head_bytes("204 No Content", [])],
            [head_bytes("404 Not Found", [("Content-Length", "2")]) + b"no"],
            [head_bytes("500 Oops", [("Transfer-Encoding", "chunked")]), chunk_bytes(b"sk-"), b"0\r\n\r\n"],
        ]
        if b"HEAD" in head[:5]:
            return [sized]
        if b"pgrade" in head and self.dice.random() < 0.7:
            return [SWITCHED, big, b"more"]
        if self.dice.random() < 0.7:
            return self.dice.choice(right)
        return self.dice.choice(
            [
                [],
                [b"rubbish\r\n\r\n"],
                [sized, big[:-1]],
                [sized + big + b"extra"],
                [chunked, b"zz\r\n"],
                [chunked + chunk_bytes(big)],
                [head_bytes("401 Unauthorized", [("Content-Length", "0")])],
                [head_bytes("302 Found", [("Location", "https://a.example/"), ("Content-Length", "0")])],
                [head_bytes("500 Oops", [("Content-Length", "99")]), KEY.encode()],
                [head_bytes("200 OK", []), big],
            ]
        )

    async def _skip_body(self, reader: asyncio.StreamReader) -> None:
        """Read some of what may be a body; whatever stays is taken for the next head, or never read."""
        try:
            async with asyncio.timeout(0.02):
                await reader.read(1_000_000)
        except TimeoutError:
            pass  # there was none


def _raw(dice: random.Random) -> bytes:
    """Some requests in a row, most of them well-formed."""
    body = b"b" * dice.choice([1, 20, 70_000, 400_000])
    chunks = b"".join(chunk_bytes(body[at : at + 9000]) for at in range(0, len(body), 9000)) + b"0\r\n\r\n"
    one = [
        request(),
        request("HEAD", "/v1/x"),
        request("POST", "/v1/x", body=body),
        request("POST", "/v1/x", "Transfer-Encoding: chunked") + chunks,
        request("POST", "/v1/x", "Transfer-Encoding: chunked") + b"5\r\nbad",
        request("POST", "/v1/x", "Expect: 100-continue", body=body),
        request("GET", "/v1/realtime", *HANDSHAKE) + b"frames",
        request("GET", "/v1/organization/x"),
        request("POST", "/v1/organization/x", body=body),
        request("HEAD", ""),
        b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
        b"rubbish\r\n\r\n",
        request(close=True),
    ]
    return b"".join(dice.choice(one) for _ in range(dice.randint(1, 4)))


async def _box(gateway: RelayUnderTest, dice: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        raw = _raw(dice)
        while raw and not writer.is_closing():
            size = dice.choice([len(raw), dice.randint(1, 200), dice.randint(1, 100_000)])
            writer.write(raw[:size])
            raw = raw[size:]
            await asyncio.sleep(dice.choice([0, 0, 0.001, 0.005]))
        async with asyncio.timeout(dice.choice([0.002, 0.02, 0.2])):
            while await reader.read(dice.choice([100, 100_000])):
                pass
    except (TimeoutError, ConnectionError):
        pass  # it had enough, or was cut
    finally:
        if dice.random() < 0.5:
            writer.transport.abort()
        writer.close()


async def _change_configuration(gateway: RelayUnderTest, endpoint: str, stop: asyncio.Event) -> None:
    dice, version = random.Random(3), 1

    async def load() -> None:
        await asyncio.sleep(0.003)
        gateway.set_up(endpoint)

    while not stop.is_set():
        await asyncio.sleep(dice.random() * 0.02)
        version += 1
        match dice.randrange(6):
            case 0:
                gateway.change(NotReady.DISABLED)
            case 1:
                gateway.change(NotReady.MISSING)
            case 2:
                gateway.table.hold_loading("org-0", "openai", load)
            case 3:
                gateway.relay.parts.pool.close()
            case _:
                gateway.set_up(endpoint, version=version)
                gateway.relay.config_changed("org-0", "openai")


async def _assert_the_books_balance(
    run_relay: RunRelay, rounds: int, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, dice, stop = await run_relay(write_buffer_bytes=60_000), random.Random(seed), asyncio.Event()
    async with raw_upstream(MoodyProvider(dice)) as endpoint:
        gateway.set_up(endpoint)
        async with asyncio.TaskGroup() as group:
            group.create_task(_change_configuration(gateway, endpoint, stop))
            for _ in range(0, rounds, AT_ONCE):
                await asyncio.gather(*(_box(gateway, dice) for _ in range(AT_ONCE)))
            stop.set()
        await gateway.settled(lambda: not gateway.relay.connection_limits.connections)
        assert gateway.relay.open_exchanges == 0
        assert gateway.relay.connection_limits._orgs == {}
        await gateway.settled(lambda: len(gateway.relay.parts.tasks) == 0)
        booked = {id(record) for record in gateway.books.records}
        assert len(booked) == len(gateway.books.records), "an exchange was booked twice"
        outcomes = {record.outcome for record in gateway.books.records}
        assert outcomes >= {"answered", "rejected", "client_gone", "upstream_broke"}
        gateway.relay.parts.pool.close()
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [], f"seed {seed}"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_in_any_disorder_every_exchange_is_booked_once_and_nothing_is_left(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    await _assert_the_books_balance(run_relay, ROUNDS, seed, caplog)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
async def test_a_long_disorder_leaves_nothing_either(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    await _assert_the_books_balance(run_relay, NIGHTLY_ROUNDS, random.SystemRandom().randrange(10**6), caplog)
