"""A streamed answer reaches the box byte for byte, chunk for chunk, and as soon as the provider sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import openai
import pytest

from tests.support.answers import LAST_CHUNK, chunk_bytes, chunked, head_bytes
from tests.support.box_clients import OpenAIInBox
from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.scripted_upstream import Reset, ScriptedUpstream, Send, WaitFor

pytestmark = pytest.mark.xdist_group("header gateway")
KEY = "sk-key-of-the-org-000000001"
EVENTS = [b'data: {"number":%d,"text":"%b"}\n\n' % (number, b"\xc3\xa4" * number) for number in range(200)]
STREAM_HEAD = head_bytes("200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])


@dataclass(frozen=True, slots=True)
class Connection:
    """A box's raw connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), 20)


@dataclass(frozen=True, slots=True)
class Scene:
    """An org whose provider is `upstream`, and the request head that one of its boxes sends."""

    upstream: ScriptedUpstream
    gateway: Gateway
    head: bytes

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Connection]:
        """Connect and send one streaming request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.box_port, limit=2**24)
        try:
            writer.write(self.head)
            yield Connection(reader, writer)
        finally:
            writer.close()


@pytest.fixture
async def scene(
    header_gateway: Gateway, control_plane: ControlPlane, openai_in_box: OpenAIInBox
) -> AsyncIterator[Scene]:
    org = await control_plane.new_org()
    token = header_gateway.box_token(org)
    head = (
        "POST /run9/ai/openai/v1/chat/completions HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{header_gateway.box_port}\r\n"
        f"X-Run9-Box-Token: {token}\r\n"
        "Authorization: Bearer run9-placeholder\r\nContent-Length: 2\r\n\r\n{}"
    )
    async with ScriptedUpstream(keys=frozenset({KEY.encode()})) as upstream:
        await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
        client = openai_in_box(token)
        upstream.queue(chunked([]))

        async def is_live() -> bool:
            try:
                await client.with_raw_response.models.list()
            except openai.BadRequestError:
                return False
            return True

        await eventually(is_live, "the integration is live")
        yield Scene(upstream, header_gateway, head.encode())


async def test_two_hundred_chunks_arrive_byte_equal_with_their_borders(scene: Scene) -> None:
    scene.upstream.queue(chunked(EVENTS))
    async with scene.asked() as box:
        head = await box.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        body = await box.read_until(b"\r\n" + LAST_CHUNK)
    assert body == b"".join(map(chunk_bytes, EVENTS)) + LAST_CHUNK


async def test_each_chunk_arrives_before_the_next_is_sent(scene: Scene) -> None:
    gates = [asyncio.Event() for _ in EVENTS[:20]]
    steps = [
        step
        for gate, event in zip(gates, EVENTS, strict=False)
        for step in (WaitFor(gate), Send(chunk_bytes(event)))
    ]
    scene.upstream.queue((Send(STREAM_HEAD), *steps, Send(LAST_CHUNK)))
    async with scene.asked() as box:
        await box.read_until(b"\r\n\r\n")
        for gate, event in zip(gates, EVENTS, strict=False):
            gate.set()  # the provider sends this chunk only now, so nothing may wait for more
            assert await box.read_until(b"\n\n\r\n") == chunk_bytes(event)
        assert await box.read_until(LAST_CHUNK) == LAST_CHUNK


async def test_a_provider_that_breaks_off_is_seen_as_a_cut_never_as_an_end(scene: Scene) -> None:
    scene.upstream.queue((Send(STREAM_HEAD), Send(chunk_bytes(EVENTS[0])), Reset()))
    async with scene.asked() as box:
        head = await box.read_until(b"\r\n\r\n")
        assert b"200" in head
        rest = b""
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            rest = await box.read_until(LAST_CHUNK)
        assert LAST_CHUNK not in rest


async def test_a_box_that_leaves_closes_the_provider_connection(scene: Scene) -> None:
    never = asyncio.Event()
    scene.upstream.queue((Send(STREAM_HEAD), Send(chunk_bytes(EVENTS[0])), WaitFor(never)))
    closed = scene.upstream.closed
    async with scene.asked() as box:
        await box.read_until(chunk_bytes(EVENTS[0]))
    never.set()
    await scene.upstream.wait_for(lambda: scene.upstream.closed > closed)
