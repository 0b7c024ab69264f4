"""Request smuggling (threat 4) on real sockets: the corpus and its mutations, bare and behind other proxies.

A counting provider says what left: never more than came in, never with another body.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.corpus.replay import replay
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, request
from tests.relay.front_proxies import FrontName, front
from tests.support.answers import whole
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream

KEYS = frozenset({KEY.encode()})
FILES = sorted((Path(__file__).parents[1] / "corpus" / "requests").glob("*.http"))
AT_ONCE = 25
SETTLE_SECONDS = 0.4
MUTATIONS, NIGHTLY_MUTATIONS = 400, 10_000
_PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b"0\r\n\r\n", b"%2e%2e/", b"chunked"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: content-length\r\n"),
    b"GET /run9/ai/openai/v1/smuggled HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
]


def _digest(received: ReceivedRequest) -> Answer:
    return whole(hashlib.sha256(received.body).hexdigest().encode())


async def _send(port: int, raw: bytes) -> None:
    """Send the bytes of a hostile box and read until nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        while await asyncio.wait_for(reader.read(65536), SETTLE_SECONDS):
            pass
    except (TimeoutError, ConnectionError):
        pass  # it waits for more, or has cut the connection: both are fine
    finally:
        writer.transport.abort()


async def _send_all(port: int, raws: list[bytes]) -> None:
    for start in range(0, len(raws), AT_ONCE):
        await asyncio.gather(*(_send(port, raw) for raw in raws[start : start + AT_ONCE]))


def _set_up(gateway: RelayUnderTest, upstream: ScriptedUpstream) -> None:
    gateway.set_up(f"{upstream.origin}/v1")
    gateway.set_up(upstream.origin, "anthropic")


def _bodies_by_core(raws: list[bytes]) -> Counter[bytes]:
    return Counter(sent.body for raw in raws for sent in replay([raw]).sent if sent.whole)


def _mutated(raw: bytes, dice: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[at:at] = dice.choice(_PIECES)
            case 1:
                del data[at : at + dice.randint(1, 4)]
            case 2 if at < len(data):
                data[at] = dice.randrange(256)
            case _:
                data[at:at] = bytes(data[at : at + 30])
    return bytes(data)


async def _assert_nothing_is_smuggled(run_relay: RunRelay, raws: list[bytes]) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=_digest) as upstream:
        _set_up(gateway, upstream)
        await _send_all(gateway.port, raws)
        await gateway.settled(lambda: not gateway.relay.connection_limits.connections)
    left, came_in = Counter(r.raw_body for r in upstream.requests), _bodies_by_core(raws)
    assert left - came_in == Counter()
    assert came_in.total() - left.total() <= came_in.total() * 0.02  # a box that left early sent nothing


async def test_every_raw_request_of_the_corpus_leaves_as_the_core_reads_it(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    raws = [file.read_bytes() for file in FILES]
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS, respond=_digest) as upstream:
        _set_up(gateway, upstream)
        await _send_all(gateway.port, raws)
    assert Counter(r.raw_body for r in upstream.requests) == _bodies_by_core(raws)
    assert not [r.target for r in upstream.requests if b"smuggled" in r.target]
    assert not [record for record in caplog.records if record.exc_info]


async def test_no_mutated_request_leaves_more_often_or_with_another_body_than_it_came(
    run_relay: RunRelay,
) -> None:
    dice = random.Random(20261123)
    await _assert_nothing_is_smuggled(
        run_relay, [_mutated(dice.choice(FILES).read_bytes(), dice) for _ in range(MUTATIONS)]
    )


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_none_of_many_mutated_requests_is_smuggled(run_relay: RunRelay) -> None:
    dice = random.Random()
    await _assert_nothing_is_smuggled(
        run_relay, [_mutated(dice.choice(FILES).read_bytes(), dice) for _ in range(NIGHTLY_MUTATIONS)]
    )


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_nothing_is_smuggled_past_another_proxy_in_front(run_relay: RunRelay, name: FrontName) -> None:
    dice, gateway = random.Random(20261123), await run_relay()
    raws = [file.read_bytes() for file in FILES if file.stat().st_size < 100_000]
    raws += [_mutated(dice.choice(raws), dice) for _ in range(MUTATIONS)]
    async with ScriptedUpstream(keys=KEYS, respond=_digest) as upstream:
        _set_up(gateway, upstream)
        with front(name, gateway.port) as proxy:
            stop = asyncio.Event()
            mixed_up, _ = await asyncio.gather(
                _count_mixed_up(proxy.port, stop), _send_then_stop(proxy.port, raws, stop)
            )
            requests_in = proxy.requests_in()
    assert mixed_up == 0
    assert 0 < len(upstream.requests) <= len(requests_in)
    hidden = [r for r in upstream.requests if b"smuggled" in r.target]
    assert len(hidden) <= len([line for line in requests_in if "smuggled" in line])


async def _send_then_stop(port: int, raws: list[bytes], stop: asyncio.Event) -> None:
    await _send_all(port, raws)
    stop.set()


async def _count_mixed_up(port: int, stop: asyncio.Event) -> int:
    """Ask as an innocent neighbour on the same proxy; give how many answers were not its own."""
    mixed_up = number = 0
    while not stop.is_set():
        number += 1
        nonce = b"innocent %d" % number
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/v1/innocent", body=nonce, close=True))
        async with asyncio.timeout(10):
            answer = await reader.read(-1)
        mixed_up += not answer.endswith(hashlib.sha256(nonce).hexdigest().encode())
        writer.close()
    return mixed_up
