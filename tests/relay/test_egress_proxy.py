"""The operator's egress proxy: a tunnel for every connection, and nothing of a request for the proxy."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from services.data_plane.relay.upstream.egress import ProxyEgress
from shared.addresses import AddressPolicy
from shared.secret import Secret
from shared.tasks import TaskSet
from tests.relay.conftest import KEY, RunRelay, raw_upstream, request
from tests.support.answers import head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream

KEYS = frozenset({KEY.encode()})
LOOPBACK = AddressPolicy.of(["127.0.0.0/8"])


class Tunnel:
    """A proxy that connects every tunnel to one port of this host, whatever name is asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass  # one side is gone, which ends the other
    finally:
        sink.close()


def _start(
    tasks: TaskSet, tunnel: Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    tasks.start(tunnel(reader, writer), "proxy")


@asynccontextmanager
async def _proxy(tunnel: Tunnel, credentials: str | None = None) -> AsyncIterator[ProxyEgress]:
    tasks = TaskSet()
    server = await asyncio.start_server(lambda r, w: _start(tasks, tunnel, r, w), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield ProxyEgress("127.0.0.1", port, Secret(credentials) if credentials else None, LOOPBACK)
    finally:
        server.close()
        await tasks.aclose()


async def test_a_tls_endpoint_is_reached_through_the_tunnel_and_verified_by_its_name(
    run_relay: RunRelay,
) -> None:
    ca, trusting = trustme.CA(), ssl.create_default_context()
    ca.configure_trust(trusting)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("provider.example").configure_cert(server)
    async with ScriptedUpstream(keys=KEYS, tls=server) as upstream:
        tunnel = Tunnel(upstream.port)
        async with _proxy(tunnel, "aigw:proxy-password") as egress:
            gateway = await run_relay(tls=trusting, egress=egress)
            gateway.set_up("https://provider.example/v1")
            upstream.queue(whole(b"ok"))
            assert (await gateway.ask(request("POST", body=b"q", close=True))).endswith(b"ok")
            basic = b64encode(b"aigw:proxy-password")
            assert tunnel.asked == [
                b"CONNECT provider.example:443 HTTP/1.1\r\nHost: provider.example:443\r\n"
                b"Proxy-Authorization: Basic " + basic + b"\r\n\r\n"
            ]
    assert b"proxy-authorization" not in upstream.requests[0].head.lower()


@pytest.mark.parametrize("page", [b"", b"<html>Who are you?</html>"])
async def test_a_refused_tunnel_says_whose_fault_it_is(run_relay: RunRelay, page: bytes) -> None:
    never = asyncio.Event()

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: %d\r\n\r\n" % len(page)
        writer.write(head + page)
        await never.wait()  # most proxies keep such a connection open

    async with raw_upstream(refusing) as proxy:
        port = int(proxy.rpartition(":")[2].removesuffix("/v1"))
        gateway = await run_relay(egress=ProxyEgress("127.0.0.1", port, None, LOOPBACK))
        gateway.set_up("http://provider.example/v1")
        answer = await gateway.ask(request(close=True))
    assert b"x-run9-error: upstream_unreachable" in answer
    assert b"egress proxy refused the tunnel, status 407" in answer


async def test_a_proxy_that_breaks_off_is_an_error_of_its_own(run_relay: RunRelay) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with raw_upstream(silent) as proxy:
        port = int(proxy.rpartition(":")[2].removesuffix("/v1"))
        gateway = await run_relay(egress=ProxyEgress("127.0.0.1", port, None, LOOPBACK))
        gateway.set_up("http://provider.example/v1")
        answer = await gateway.ask(request(close=True))
    assert b"egress proxy did not answer properly" in answer


async def test_what_comes_behind_a_tunnels_head_is_no_answer_of_the_endpoint(run_relay: RunRelay) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head_bytes("200 OK", [("Content-Length", "2")]) + b"no")
        await reader.read()

    async with raw_upstream(hasty) as proxy:
        port = int(proxy.rpartition(":")[2].removesuffix("/v1"))
        gateway = await run_relay(egress=ProxyEgress("127.0.0.1", port, None, LOOPBACK))
        gateway.set_up("http://provider.example/v1")
        answer = await gateway.ask(request(close=True))
    assert b"egress proxy did not answer properly" in answer


async def test_a_private_literal_address_is_not_asked_of_the_proxy(run_relay: RunRelay) -> None:
    gateway = await run_relay(egress=ProxyEgress("127.0.0.1", 1, None, LOOPBACK))
    gateway.set_up("http://169.254.169.254/v1")
    answer = await gateway.ask(request(close=True))
    assert b"its address is not public" in answer
