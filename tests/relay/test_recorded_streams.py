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
        return _cut(raw, number) if number <= len(raw) else _single_bytes(raw)

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
    await _assert_every_cut_passes(run_relay, raw, [*cuts, len(raw), len(raw) + 1], tls)


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
    await _assert_every_cut_passes(run_relay, raw, list(range(1, len(raw) + 2)), tls)
