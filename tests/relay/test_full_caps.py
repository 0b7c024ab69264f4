"""A full cap closes the connection idle for longest; where all are busy, newcomers are told (threat 26)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.relay.conftest import KEY, BoxClient, RelayUnderTest, RunRelay, request
from tests.support.answers import whole
from tests.support.scripted_upstream import ScriptedUpstream, WaitFor

KEYS = frozenset({KEY.encode()})


async def _asked(gateway: RelayUnderTest, token: str) -> BoxClient:
    """Open a connection that has had one answer."""
    client = await gateway.connect()
    await _ask(client, token)
    return client


async def _ask(client: BoxClient, token: str) -> None:
    client.send(request("GET", "/v1/models", f"X-Run9-Box-Token: {token}"))
    assert (await client.read_answer())[1] == b"ok"


@pytest.mark.parametrize(
    ("limit", "tokens"),
    [
        ({"max_connections_per_box": 3}, ["org-0/a", "org-0/a", "org-0/a", "org-0/a"]),
        ({"max_connections_per_org": 3}, ["org-0/a", "org-0/b", "org-0/c", "org-0/d"]),
        ({"max_connections": 3}, ["org-0/a", "org-0/b", "org-0/c", "org-0/d"]),
    ],
)
async def test_the_connection_that_is_idle_for_longest_makes_room(
    run_relay: RunRelay, limit: dict[str, int], tokens: list[str]
) -> None:
    gateway = await run_relay(**limit)
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        first, second, third = [await _asked(gateway, token) for token in tokens[:3]]
        await asyncio.sleep(0.01)
        await _ask(first, tokens[0])  # so the second is idle for longest
        await _asked(gateway, tokens[3])
        assert await second.read_all() == b""
        await _ask(first, tokens[0])
        await _ask(third, tokens[2])
    assert sum(gateway.relay.connection_limits.cap_log.evicted.values()) == 1
    assert {record.outcome for record in gateway.books.records} == {"answered"}


async def test_when_every_connection_is_busy_a_newcomer_is_told_and_none_is_cut(run_relay: RunRelay) -> None:
    gateway, hold = await run_relay(max_connections=2), asyncio.Event()
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: (WaitFor(hold), *whole(b"ok"))) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        busy = [await gateway.connect() for _ in range(2)]
        for client in busy:
            client.send(request())
        await gateway.settled(lambda: len(upstream.requests) == 2)
        answer = await (await gateway.connect()).read_all()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"x-run9-error: overloaded\r\n" in answer
        hold.set()
        for client in busy:
            assert (await client.read_answer())[1] == b"ok"
    assert +Counter(gateway.relay.connection_limits.cap_log.refused) == {"all": 1}


async def test_silent_ones_unfinished_heads_and_the_status_page_count_as_open(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_connections=2)
    limits = gateway.relay.connection_limits
    silent = await gateway.connect()
    await gateway.settled(lambda: limits.open_connections == 1)
    half = await gateway.connect()
    half.send(b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost: ")
    await gateway.settled(lambda: limits.open_connections == 2)
    page = await gateway.ask(b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n")
    assert b"the application" in page
    assert await silent.read_all() == b""
    await gateway.settled(lambda: limits.open_connections == 1)
    await gateway.connect()
    await gateway.settled(lambda: limits.open_connections == 2)
    await gateway.connect()
    told = await half.read_all()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"2 connections in all" in told
