"""Connections without a known owner: only so many, and the oldest make room (threat 17)."""

from __future__ import annotations

import asyncio
import socket

import pytest

from services.data_plane.relay.unidentified import GRACE_SECONDS
from tests.relay.conftest import KEY, BoxClient, RelayUnderTest, RunRelay, request
from tests.support.answers import whole
from tests.support.scripted_upstream import ScriptedUpstream

KEYS = frozenset({KEY.encode()})
BEGINNING = b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost: "


async def _crowd(gateway: RelayUnderTest, size: int, sent: bytes = b"") -> list[BoxClient]:
    """Connect one after the other, and wait until the first second of the last is over."""
    crowd = []
    for number in range(size):
        client = await gateway.connect()
        client.send(sent)
        await gateway.settled(lambda here=number: len(gateway.relay.connection_limits.connections) > here)  # type: ignore[misc]  # mypy cannot infer a bound default
        crowd.append(client)
    await asyncio.sleep(GRACE_SECONDS + 0.1)
    return crowd


async def test_the_oldest_silent_connections_are_closed_and_the_others_are_served(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay(max_unidentified_connections=5)
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        crowd = await _crowd(gateway, 5)
        newer = [await gateway.connect() for _ in range(3)]
        for oldest in crowd[:3]:
            assert await oldest.read_all() == b""
        for client in crowd[3:] + newer:
            client.send(request())
            assert (await client.read_answer())[1] == b"ok"
    assert [record.outcome for record in gateway.books.records] == ["answered"] * 5


async def test_an_unfinished_head_that_makes_room_is_told_so(
    run_relay: RunRelay, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay(max_unidentified_connections=2)
    crowd = await _crowd(gateway, 2, BEGINNING)
    await gateway.connect()
    answer = await crowd[0].read_all()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"x-run9-error: overloaded\r\n" in answer
    assert b"retry-after: 2\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert [record.code for record in gateway.books.records] == ["overloaded"]
    assert [record.name.rpartition(".")[2] for record in caplog.records] == ["cap_log"]


async def test_nobody_is_shut_out_by_a_crowd_that_sends_no_head(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_unidentified_connections=20)
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        await _crowd(gateway, 20, BEGINNING)
        for number in range(100):
            client = await gateway.connect()
            client.send(request("POST", body=b"%d" % number))
            assert (await client.read_answer())[1] == b"%d" % number
        await gateway.settled(lambda: len(gateway.relay.connection_limits.unidentified) <= 20)


async def test_a_burst_of_honest_connections_is_served_however_many_come_at_once(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_unidentified_connections=2)
    async with ScriptedUpstream(keys=KEYS, respond=lambda r: whole(r.body)) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        burst = []
        for number in range(60):
            # Blocking, so that the gateway finds all of them at once.
            burst.append(socket.create_connection(("127.0.0.1", gateway.port)))
            burst[-1].sendall(request("POST", body=b"%d" % number))
        clients = [BoxClient(*await asyncio.open_connection(sock=one)) for one in burst]
        gateway.clients += clients
        assert [(await client.read_answer())[1] for client in clients] == [b"%d" % n for n in range(60)]


async def test_a_burst_of_silent_connections_is_thinned_out_although_nobody_comes_after_it(
    run_relay: RunRelay,
) -> None:
    gateway = await run_relay(max_unidentified_connections=3)
    for _ in range(30):
        await gateway.connect()
    await gateway.settled(lambda: len(gateway.relay.connection_limits.connections) == 30)
    await gateway.settled(lambda: len(gateway.relay.connection_limits.connections) == 3)


async def test_what_is_known_or_gone_is_no_stranger(run_relay: RunRelay) -> None:
    gateway = await run_relay(max_unidentified_connections=1)
    strangers = gateway.relay.connection_limits.unidentified
    async with ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"ok")) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        known = [await gateway.connect() for _ in range(4)]
        for client in known:
            client.send(request())
            await client.read_answer()
        assert len(strangers) == 0
        warmed = await gateway.connect()
        warmed.send(request("HEAD", ""))
        await warmed.read_head()
        assert len(strangers) == 1
        answered = await gateway.ask(b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200 ")
        warmed.close()
        await gateway.settled(lambda: len(strangers) == 0)
        await asyncio.sleep(GRACE_SECONDS + 0.6)
        for client in known:
            client.send(request())
            assert (await client.read_answer())[1] == b"ok"
