"""Tests of `shared/listener.py`: clear errors for a port, serving, draining, and a failed start."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from shared.listener import ListenError, _explain, bind, port_of, serve

DEADLINE_SECONDS = 30


def test_port_zero_picks_a_free_port() -> None:
    with bind("127.0.0.1", 0, option="--box-port") as listener:
        assert 1024 <= port_of(listener) <= 65535
        assert listener.getblocking() is False


def test_a_taken_port_is_explained_with_the_option_that_changes_it() -> None:
    with bind("127.0.0.1", 0, option="--box-port") as holder:
        port = port_of(holder)
        with pytest.raises(ListenError, match=rf"Port {port} on 127\.0\.0\.1 is in use\. .* by --box-port"):
            bind("127.0.0.1", port, option="--box-port")


def test_a_port_is_free_again_at_once_after_its_listener_closed() -> None:
    with bind("127.0.0.1", 0, option="--box-port") as listener:
        port = port_of(listener)
        client = socket.create_connection(("127.0.0.1", port))
    client.close()
    bind("127.0.0.1", port, option="--box-port").close()


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1 is not an address of this machine.*--box-host"):
        bind("192.0.2.1", 0, option="--box-host")


def test_a_port_above_the_last_is_explained() -> None:
    with pytest.raises(ListenError, match=r"70000 is no port.*--port-base"):
        bind("127.0.0.1", 70_000, option="--port-base")


def test_a_host_that_is_no_address_is_explained() -> None:
    with pytest.raises(ListenError, match="Cannot listen on"):
        bind("not an address", 0, option="--box-host")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_a_missing_right_is_explained_with_both_remedies(code: int) -> None:
    # Tests may run as root, who lacks no right, so the kernel's answer is given by hand.
    sentence = _explain(OSError(code, "denied"), "127.0.0.1", 80, "--box-port")
    assert "1024 or above with --box-port" in sentence
    assert "CAP_NET_BIND_SERVICE" in sentence


class Served:
    """An application on a free port, whose slow answer waits for `gate`."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.stop = asyncio.Event()
        self.started = asyncio.Event()
        self.closed = False
        self.listener = bind("127.0.0.1", 0, option="--port")
        self.url = f"http://127.0.0.1:{port_of(self.listener)}"

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self.closed = True

    async def quick(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("quick")

    async def slow(self, _: Request) -> PlainTextResponse:
        self.entered.set()
        await self.gate.wait()
        return PlainTextResponse("slow")

    async def run(self, grace_seconds: int = DEADLINE_SECONDS) -> None:
        app = Starlette(
            routes=[Route("/quick", self.quick), Route("/slow", self.slow)], lifespan=self.lifespan
        )
        await serve(app, self.listener, stop=self.stop, started=self.started.set, grace_seconds=grace_seconds)


async def test_it_serves_from_started_until_stop() -> None:
    served = Served()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        server = group.create_task(served.run())
        await served.started.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(served.url + "/quick")
        assert answer.text == "quick"
        assert "server" not in answer.headers
        served.stop.set()
        await server
    assert served.closed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=5)


async def test_stopping_lets_a_running_request_finish() -> None:
    served = Served()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        server = group.create_task(served.run())
        await served.started.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = group.create_task(client.get(served.url + "/slow"))
            await served.entered.wait()
            served.stop.set()
            await asyncio.sleep(0.3)
            assert not server.done()
            served.gate.set()
            assert (await answer).text == "slow"
        await server
    assert served.closed


async def test_a_request_that_does_not_finish_is_cut_after_the_grace_time() -> None:
    served = Served()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        server = group.create_task(served.run(grace_seconds=1))
        await served.started.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = group.create_task(client.get(served.url + "/slow"))
            await served.entered.wait()
            served.stop.set()
            await server
            with pytest.raises(httpx.HTTPError):
                (await answer).raise_for_status()


async def test_a_lifespan_that_fails_is_a_listen_error_and_frees_the_port() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("no database")

    listener = bind("127.0.0.1", 0, option="--port")
    port = port_of(listener)
    started = asyncio.Event()
    with pytest.raises(ListenError, match="did not start"):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await serve(broken, listener, stop=asyncio.Event(), started=started.set)
    assert not started.is_set()
    bind("127.0.0.1", port, option="--port").close()


async def test_the_protocol_class_is_the_callers() -> None:
    class Greeter(asyncio.Protocol):
        def __init__(self, **_: object) -> None: ...

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(b"hello from another protocol")
            transport.close()

    served = Served()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        server = group.create_task(
            serve(Starlette(), served.listener, stop=served.stop, started=served.started.set, http=Greeter)
        )
        await served.started.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served.listener))
        assert await reader.read() == b"hello from another protocol"
        writer.close()
        served.stop.set()
        await server
