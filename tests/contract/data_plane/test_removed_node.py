"""A node that is removed while its boxes have requests under way, told to a data plane over a real Redis."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.control_plane.bus.redis import RedisBus
from shared.box_token import public_key_text
from shared.clock import unix_now
from shared.config_feed import NodeRow, encode_event
from shared.proxy_preface import encode_preface
from shared.redis_link import COMMAND_SECONDS, connect, parse_redis_url
from shared.secret import Secret
from tests.support.answers import head_bytes
from tests.support.feed_keys import FEED_KEY, FEED_KEYS
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor
from tests.support.servers.valkey import ValkeyServer
from tests.unit.data_plane.test_bootstrap import Bench, bench, provider
from tests.unit.data_plane.test_box_listeners import GET, line, started, token

__all__ = ["bench"]  # a fixture of this file too

CUT_SECONDS = 5.0
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
STREAMING = head_bytes("200 OK", [("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\n"
SWITCHED = head_bytes(
    "101 Switching Protocols",
    [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ],
)


async def test_streams_and_web_sockets_of_a_removed_node_are_cut_within_five_seconds(
    bench: Bench, valkey: ValkeyServer
) -> None:
    never = asyncio.Event()
    writer = connect(
        parse_redis_url(valkey.url),
        password=Secret(""),
        sentinel_password=Secret(""),
        command_seconds=COMMAND_SECONDS,
    )
    async with provider() as upstream:
        running = await started(bench, upstream, event_bus_url=valkey.url, feed_key=Secret(FEED_KEY))
        upstream.queue([Send(STREAMING), WaitFor(never)])
        upstream.queue([Send(SWITCHED), WaitFor(never)])
        upstream.queue([WaitFor(never)])
        port = running.plane.box_port
        async with line(port) as stream, line(port) as socket, line(port) as flight:
            stream.writer.write(encode_preface(token(bench)) + GET)
            await stream.reader.readuntil(b"abc\r\n")
            socket.writer.write(encode_preface(token(bench)) + GET[:-2] + UPGRADE)
            assert b" 101 " in await socket.reader.readuntil(b"\r\n\r\n")
            flight.writer.write(encode_preface(token(bench)) + GET)
            await running.until(lambda: _asked(upstream, 3))
            gone = bench.truth.remove_node(
                NodeRow("node-1", "kid-1", public_key_text(bench.node.public_key()))
            )
            began = time.monotonic()
            await RedisBus(writer, FEED_KEYS, unix_now).publish(gone.revision, encode_event(gone))
            for cut in (stream, socket):
                with pytest.raises(ConnectionResetError):
                    await cut.rest()
            assert b"box_identity_required" in await flight.rest()
            assert time.monotonic() - began < CUT_SECONDS
        async with line(port) as late:
            head, _ = await late.ask(encode_preface(token(bench)) + GET)
        assert b"box_identity_required" in head
    await writer.aclose()


async def _asked(upstream: ScriptedUpstream, count: int) -> bool:
    return len(upstream.requests) == count
