"""Recorded event streams of both providers, cut anywhere, plain and over TLS, pass byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, request
from tests.support.scripted_upstream import Answer, Pause, ReceivedRequest, ScriptedUpstream, Send
from tests.support.tls_contexts import loopback_contexts

FOLDER = Path(__file__).parents[1] / "corpus" / "streams"
RECORDINGS = {file.stem: file.read_bytes() for file in sorted(FOLDER.glob("*.http"))}
SAMPLE = 40
AT_ONCE = 20
GAP_SECONDS = 0.002
"""Long enough for the first part to be read on its own."""


def _cut(raw: bytes, at: int) -> Answer:
    return (Send(raw[:at]), Pause(GAP_SECONDS), Send(raw[at:])) if 0 < at < len(raw) else (Send(raw),)


def _single_bytes(raw: bytes) -> Answer:
    return tuple(step for byte in raw for step in (Send(bytes([byte])), Pause(0)))


def _borders(raw: bytes) -> list[int]:
    """Where the head ends, and each chunk but the last."""
    borders = [raw.index(b"\r\n\r\n") + 4]
    while size := int(raw[borders[-1] : raw.index(b"\r\n", borders[-1])].partition(b";")[0], 16):
        borders.append(raw.index(b"\r\n", borders[-1]) + 2 + size + 2)
    return borders


def _pieces(raw: bytes, cuts: list[int]) -> Answer:
    ends = zip([0, *cuts], [*cuts, len(raw)], strict=True)
    return tuple(step for begin, end in ends for step in (Send(raw[begin:end]), Pause(GAP_SECONDS)))


def _single_chunks(raw: bytes) -> Answer:
    """Send each event at once, as a provider does, and the end of the stream by itself."""
    return _pieces(raw, _borders(raw))


def _chunks_and_parts(raw: bytes) -> Answer:
    """Whole chunks, parts of chunks and several in one piece, in turn."""
    chance, borders = random.Random(raw), _borders(raw)
    inside = chance.sample(range(borders[0], len(raw)), len(borders) // 2)
    return _pieces(raw, sorted({*borders[:: chance.choice((1, 2))], *inside}))


OTHER_CUTS = (_single_bytes, _single_chunks, _chunks_and_parts)


async def _ask(gateway: RelayUnderTest, numbers: Iterable[int], expected: bytes) -> None:
    client = await gateway.connect()
    for number in numbers:
        client.send(request("POST", f"/v1/{number}", body=b"{}"))
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head
        assert await client.read(len(expected)) == expected, f"cut at {number}"
    client.close()


async def _assert_every_cut_passes(
    run_relay: RunRelay,
    raw: bytes,
    cuts: list[int],
    tls: bool,  # noqa: FBT001  # a parameter of the tests
) -> None:
    serving, trusting = loopback_contexts()
    gateway = await run_relay(tls=trusting)
    body = raw.partition(b"\r\n\r\n")[2]

    def respond(received: ReceivedRequest) -> Answer:
        number = int(received.target.rpartition(b"/")[2])
        return _cut(raw, number) if number <= len(raw) else OTHER_CUTS[number - len(raw) - 1](raw)

    keys = frozenset({KEY.encode()})
    async with ScriptedUpstream(keys=keys, respond=respond, tls=serving if tls else None) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        share = -(-len(cuts) // AT_ONCE)
        await asyncio.gather(
            *(_ask(gateway, cuts[at : at + share], body) for at in range(0, len(cuts), share))
        )
        assert len(upstream.requests) == len(cuts)
        assert upstream.accepted <= AT_ONCE
    assert {record.outcome for record in gateway.books.records} == {"answered"}


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_recorded_stream_passes_byte_for_byte_however_it_is_cut(
    run_relay: RunRelay,
    name: str,
    tls: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    raw = RECORDINGS[name]
    cuts = random.Random(name).sample(range(1, len(raw)), SAMPLE)
    await _assert_every_cut_passes(
        run_relay, raw, [*cuts, *range(len(raw), len(raw) + len(OTHER_CUTS) + 1)], tls
    )


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_recorded_stream_passes_byte_for_byte_cut_at_each_of_its_bytes(
    run_relay: RunRelay,
    name: str,
    tls: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    raw = RECORDINGS[name]
    await _assert_every_cut_passes(run_relay, raw, list(range(1, len(raw) + len(OTHER_CUTS) + 1)), tls)
