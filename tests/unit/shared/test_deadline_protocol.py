"""Silent or slow connections are reset in time, and too many of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.cap_log import Fate
from shared.deadline_protocol import GIVES_WAY, with_deadlines
from shared.listener import bind, port_of, serve

DEADLINE_SECONDS = 30
HEAD_SECONDS = BODY_SECONDS = 0.3
MAX_CONNECTIONS = 3
BIG = 16 * 1024 * 1024 * "x"
REQUEST = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def slow(_: Request) -> PlainTextResponse:
    await asyncio.sleep(3 * HEAD_SECONDS)
    return PlainTextResponse("slow")


async def big(_: Request) -> PlainTextResponse:
    return PlainTextResponse(BIG)


async def held_back(request: Request) -> PlainTextResponse:
    request.scope["extensions"][GIVES_WAY]()
    await asyncio.sleep(DEADLINE_SECONDS)
    return PlainTextResponse("late")


@asynccontextmanager
async def served(
    head: float = HEAD_SECONDS,
    body: float = BODY_SECONDS,
    unread: float = DEADLINE_SECONDS,
    at_cap: Callable[[Fate, int], None] | None = None,
) -> AsyncIterator[int]:
    """Serve the application with short deadlines; give the port."""
    listener = bind("127.0.0.1", 0, option="--port")
    stop, started = asyncio.Event(), asyncio.Event()
    app = Starlette(
        routes=[
            Route("/echo", echo, methods=["GET", "POST"]),
            Route("/slow", slow),
            Route("/big", big),
            Route("/held", held_back),
        ]
    )
    http = with_deadlines(head, body, MAX_CONNECTIONS, unread, at_cap)
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


async def test_one_connection_too_many_takes_the_place_of_the_one_that_waits_longest() -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        kept = []
        for sent in (b"", b"GET /echo HTTP/1.1\r\n", REQUEST)[:MAX_CONNECTIONS]:
            kept.append(await asyncio.open_connection("127.0.0.1", port))
            kept[-1][1].write(sent)
            await asyncio.sleep(0.1)
        assert b"200 OK" in await kept[2][0].readuntil(b"\r\n\r\n")
        for number in range(MAX_CONNECTIONS - 1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"\r\n")
            assert await ends(kept[number][0]) == b""
            kept.append((reader, writer))
        kept[2][1].write(REQUEST)
        await kept[2][0].readuntil(b"0")
        assert b"200 OK" in await kept[2][0].readuntil(b"\r\n")
        for _, one in kept:
            one.close()


async def test_a_request_that_is_being_answered_is_never_reset_for_another_connection() -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        for _, writer in busy:
            writer.write(REQUEST.replace(b"/echo", b"/slow"))
        await asyncio.sleep(HEAD_SECONDS)
        late_reader, late_writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ends(late_reader) == b""
        late_writer.close()
        for reader, writer in busy:
            assert b"200 OK" in await reader.readuntil(b"\r\n")
            writer.close()


async def test_an_answer_that_is_held_back_on_purpose_makes_room() -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        for _, writer in held:
            writer.write(REQUEST.replace(b"/echo", b"/held"))
        await asyncio.sleep(HEAD_SECONDS)
        reader, late = await asyncio.open_connection("127.0.0.1", port)
        late.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        for _, writer in (*held, (reader, late)):
            writer.transport.abort()


async def test_each_connection_reset_at_the_cap_is_told_with_its_fate() -> None:
    told: list[tuple[str, int]] = []
    async with served(head=DEADLINE_SECONDS, at_cap=lambda fate, cap: told.append((fate, cap))) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS + 2)]
        for reader, _ in silent[:2]:
            assert await ends(reader) == b""
        assert told == [("evicted", MAX_CONNECTIONS)] * 2
        for _, writer in silent[2:]:
            writer.write(REQUEST.replace(b"/echo", b"/slow"))
        await asyncio.sleep(HEAD_SECONDS)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ends(reader) == b""
        assert told[2:] == [("refused", MAX_CONNECTIONS)]
        for _, other in (*silent, (reader, writer)):
            other.transport.abort()


async def unread_connection(port: int, header: bytes) -> socket.socket:
    """A connection that asks for much, several times at once, and reads nothing."""
    connection = socket.create_connection(("127.0.0.1", port))
    request = b"GET /big HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n"
    connection.sendall(3 * request)
    connection.setblocking(False)
    await asyncio.sleep(0.2)
    return connection


UNREAD = pytest.mark.parametrize("header", [b"x: y", b"connection: close"])


@UNREAD
async def test_answers_that_nobody_reads_keep_no_probe_out(header: bytes) -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        unread = [await unread_connection(port, header) for _ in range(MAX_CONNECTIONS)]
        for one in unread:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                one.send(REQUEST)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        try:
            assert b"200 OK" in await reader.readuntil(b"\r\n")
        finally:
            writer.close()
            for one in unread:
                one.close()


@UNREAD
async def test_a_client_that_reads_nothing_is_reset(header: bytes) -> None:
    async with served(unread=HEAD_SECONDS) as port:
        unread = await unread_connection(port, header)
        await asyncio.sleep(2 * HEAD_SECONDS)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := await asyncio.get_running_loop().sock_recv(unread, 1 << 20):
                got += len(piece)
        assert 0 < got < len(BIG)
        unread.close()


async def test_silent_connections_by_the_hundred_keep_no_probe_out() -> None:
    async with served(head=DEADLINE_SECONDS) as port:
        silent = []
        for _ in range(40):
            silent += [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"\r\n")
            writer.close()
        for _, one in silent:
            one.close()


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (int(__import__("sys").argv[1]), 4096))
from shared.cap_log import Fate
from shared.deadline_protocol import connection_cap
print(connection_cap())
"""


@pytest.mark.parametrize(("descriptors", "cap"), [(256, 64), (1024, 256), (4096, 1024)])
def test_two_listeners_leave_half_of_the_descriptors(descriptors: int, cap: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(descriptors)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == cap
