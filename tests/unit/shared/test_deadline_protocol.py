"""Connections that are silent or slow are reset in time, and too many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.deadline_protocol import with_deadlines
from shared.listener import bind, port_of, serve

DEADLINE_SECONDS = 30
HEAD_SECONDS = BODY_SECONDS = 0.3
MAX_CONNECTIONS = 3
REQUEST = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def slow(_: Request) -> PlainTextResponse:
    await asyncio.sleep(3 * HEAD_SECONDS)
    return PlainTextResponse("slow")


@asynccontextmanager
async def served(head: float = HEAD_SECONDS, body: float = BODY_SECONDS) -> AsyncIterator[int]:
    """Serve the application with short deadlines; give the port."""
    listener = bind("127.0.0.1", 0, option="--port")
    stop, started = asyncio.Event(), asyncio.Event()
    app = Starlette(routes=[Route("/echo", echo, methods=["GET", "POST"]), Route("/slow", slow)])
    http = with_deadlines(head, body, MAX_CONNECTIONS)
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(serve(app, listener, stop=stop, started=started.set, http=http, grace_seconds=1))
        await started.wait()
        yield port_of(listener)
        stop.set()


async def ends(reader: asyncio.StreamReader) -> bytes:
    """Read to the end, however the connection ends."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        b"GET /echo HTTP/1.1\r\nhost: x\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        REQUEST[:-2],
    ],
)
async def test_a_connection_whose_request_never_becomes_whole_is_reset(sent: bytes) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await ends(reader) == b""
        writer.close()


async def test_a_request_that_trickles_is_reset_though_bytes_keep_coming() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        writer.write(b"GET /echo HTTP/1.1\r\nx: ")
        async with asyncio.TaskGroup() as group:
            trickling = group.create_task(trickle())
            assert await ends(reader) == b""
            trickling.cancel()
        writer.close()


async def test_a_further_request_on_a_kept_connection_has_the_same_deadline() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        writer.write(b"GET")
        await ends(reader)
        writer.close()


async def test_a_slow_answer_and_an_idle_kept_connection_are_not_hurried() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST.replace(b"/echo", b"/slow"))
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        await reader.readuntil(b"slow")
        await asyncio.sleep(2 * HEAD_SECONDS)
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        writer.close()


async def test_one_connection_too_many_is_reset_and_the_others_stay() -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        await asyncio.sleep(0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ends(reader) == b""
        writer.close()
        kept[0][1].write(REQUEST)
        assert b"200 OK" in await kept[0][0].readuntil(b"\r\n")
        for _, one in kept:
            one.close()
