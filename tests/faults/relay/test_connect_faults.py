"""Faults of names, connections and certificates: nothing is sent, and the box is told whose fault it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from services.data_plane.relay.upstream.resolver import Resolver
from shared.addresses import AddressPolicy
from tests.faults.relay.conftest import Told, a_neighbour_streams, serving
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, raw_upstream, request
from tests.relay.test_addresses import FlippingName
from tests.support.answers import head_bytes, whole
from tests.support.scripted_upstream import Close, ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})


async def test_an_answer_until_close_ends_cleanly_when_the_provider_says_goodbye(
    run_relay: RunRelay, wire: ssl.SSLContext | None, trusting: ssl.SSLContext
) -> None:
    gateway = await run_relay(tls=trusting)
    async with ScriptedUpstream(keys=KEYS, tls=wire) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue((Send(head_bytes("200 OK", [])), Send(b"all of it"), Close()))
        assert (await gateway.ask(request())).endswith(b"\r\n\r\nall of it")
    assert gateway.books.records[0].outcome == "answered"


async def test_an_answer_until_close_that_tls_did_not_end_is_a_visible_break(
    run_relay: RunRelay, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Anybody on the path can end TCP; only the provider can say goodbye in TLS (RFC 9112 §9.8)."""
    gateway = await run_relay(tls=trusting)

    def cut_short(tls: ssl.SSLSocket) -> None:
        while b"\r\n\r\n" not in tls.recv(65536):
            pass
        tls.sendall(head_bytes("200 OK", []) + b"half of it")
        tls.shutdown(socket.SHUT_RDWR)  # a FIN without close_notify

    async with blocking_tls_server(serving(authority), cut_short) as port:
        gateway.set_up(f"https://127.0.0.1:{port}/v1")
        client = await gateway.connect()
        client.send(request())
        with pytest.raises(ConnectionResetError):
            await client.read_all()
    assert gateway.books.records[0].outcome == "upstream_broke"


@asynccontextmanager
async def blocking_tls_server(
    context: ssl.SSLContext, serve_one: Callable[[ssl.SSLSocket], None]
) -> AsyncIterator[int]:
    """Serve a connection with plain `ssl`, which does the steps of `serve_one` and nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def run() -> None:
        accepted, _ = listener.accept()
        accepted.settimeout(10)
        with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=True) as tls:
            serve_one(tls)

    async def threaded() -> None:
        await asyncio.to_thread(run)

    async with asyncio.TaskGroup() as group:
        group.create_task(threaded())
        try:
            yield listener.getsockname()[1]
        finally:
            listener.close()


async def _told(gateway: RelayUnderTest, endpoint: str) -> Told:
    gateway.set_up(endpoint)
    client = await gateway.connect()
    client.send(request("POST", body=b"{}"))
    return await Told.read(client)


def _expired(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    authority.issue_cert("127.0.0.1", not_before=past, not_after=past.replace(year=2021)).configure_cert(
        context
    )
    return context


@pytest.mark.parametrize("fault", ["expired", "of another name", "of another authority"])
async def test_a_certificate_that_is_not_valid_is_told_and_gets_no_request(
    run_relay: RunRelay, authority: trustme.CA, trusting: ssl.SSLContext, fault: str
) -> None:
    context = {
        "expired": lambda: _expired(authority),
        "of another name": lambda: serving(authority, "elsewhere.example"),
        "of another authority": lambda: serving(trustme.CA()),
    }[fault]()
    gateway = await run_relay(tls=trusting)
    async with a_neighbour_streams(gateway), ScriptedUpstream(keys=KEYS, tls=context) as upstream:
        told = await _told(gateway, f"{upstream.origin}/v1")
        assert (told.status, told.code, told.source) == (502, "upstream_unreachable", "upstream")
        assert "certificate is not valid" in told.message
        assert upstream.requests == []


async def test_a_certificate_that_changes_to_a_bad_one_ends_new_connections(
    run_relay: RunRelay, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Also when the provider would resume the TLS session of the good certificate."""
    gateway = await run_relay(tls=trusting)
    async with ScriptedUpstream(keys=KEYS, tls=serving(authority)) as upstream:
        port = upstream.port
        upstream.queue(whole(b"good"))
        gateway.set_up(f"{upstream.origin}/v1")
        assert (await gateway.ask(request(close=True))).endswith(b"good")
    await gateway.settled(lambda: len(gateway.relay.parts.pool) == 0)
    bad = serving(trustme.CA())
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port, ssl=bad)
    try:
        told = await _told(gateway, f"https://127.0.0.1:{port}/v1")
    finally:
        server.close()
    assert told.code == "upstream_unreachable"
    assert "certificate is not valid" in told.message


async def test_a_certificate_that_is_renewed_is_followed(
    run_relay: RunRelay, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    gateway, port = await run_relay(tls=trusting), 0
    for _ in range(2):
        async with _upstream_on(port, serving(authority)) as port:
            gateway.set_up(f"https://127.0.0.1:{port}/v1")
            assert (await gateway.ask(request(close=True))).endswith(b"ok")
        await gateway.settled(lambda: len(gateway.relay.parts.pool) == 0)


@asynccontextmanager
async def _upstream_on(port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head_bytes("200 OK", [("Content-Length", "2"), ("Connection", "close")]) + b"ok")
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_plain_http_where_tls_is_expected_is_a_failed_handshake(
    run_relay: RunRelay, trusting: ssl.SSLContext
) -> None:
    gateway = await run_relay(tls=trusting)

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(head_bytes("400 Bad Request", [("Content-Length", "0")]))

    async with raw_upstream(plain) as endpoint:
        told = await _told(gateway, endpoint.replace("http:", "https:"))
    assert (told.status, told.code) == (502, "upstream_unreachable")


@pytest.mark.parametrize("when", ["at once", "after the first bytes"])
async def test_a_provider_that_ends_the_handshake_is_unreachable(
    run_relay: RunRelay, trusting: ssl.SSLContext, when: str
) -> None:
    gateway = await run_relay(tls=trusting)

    async def ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if when != "at once":
            await reader.read(100)
        writer.transport.abort()

    async with raw_upstream(ending) as endpoint:
        told = await _told(gateway, endpoint.replace("http:", "https:"))
    assert (told.status, told.code, told.source) == (502, "upstream_unreachable", "upstream")


async def test_a_provider_that_never_shakes_hands_is_a_timeout_and_leaves_no_socket(
    run_relay: RunRelay, trusting: ssl.SSLContext
) -> None:
    gateway, gone = await run_relay(tls=trusting, connect_seconds=0.3), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # says nothing
        while await reader.read(65536):
            pass
        gone.set()

    async with raw_upstream(mute) as endpoint:
        told = await _told(gateway, endpoint.replace("http:", "https:"))
        assert (told.status, told.code) == (504, "upstream_timeout")
        async with asyncio.timeout(10):
            await gone.wait()


async def test_a_black_hole_is_a_connect_timeout(run_relay: RunRelay) -> None:
    """A listener whose queue is full drops new connections, as a firewall does."""
    gateway = await run_relay(connect_seconds=0.4)
    hole = socket.create_server(("127.0.0.1", 0), backlog=0)
    full = []
    try:
        for _ in range(4):
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex(hole.getsockname())
            full.append(knocking)
        async with a_neighbour_streams(gateway):
            told = await _told(gateway, f"http://127.0.0.1:{hole.getsockname()[1]}/v1")
    finally:
        for knocking in full:
            knocking.close()
        hole.close()
    assert (told.status, told.code, told.source) == (504, "upstream_timeout", "upstream")
    assert len(gateway.relay.parts.tasks) == 0


async def test_a_name_that_does_not_resolve_is_told_without_a_trace_of_the_resolver(
    run_relay: RunRelay,
) -> None:
    resolver = Resolver(AddressPolicy.of(["127.0.0.0/8"]), look_up=FlippingName([()]))
    gateway = await run_relay(resolver=resolver)
    told = await _told(gateway, "http://nowhere.example/v1")
    assert (told.status, told.code, told.source) == (502, "upstream_unreachable", "upstream")
    assert "its name does not resolve" in told.message


async def test_a_resolver_that_never_answers_is_a_connect_timeout(run_relay: RunRelay) -> None:
    never = asyncio.Event()

    async def silent(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:  # noqa: ARG001  # the seam's signature
        await never.wait()
        return []

    resolver = Resolver(AddressPolicy.of(["127.0.0.0/8"]), look_up=silent)
    gateway = await run_relay(resolver=resolver, connect_seconds=0.3)
    told = await _told(gateway, "http://nowhere.example/v1")
    assert (told.status, told.code) == (504, "upstream_timeout")
    never.set()
    await asyncio.sleep(0.01)


async def test_a_half_open_connection_of_the_pool_costs_one_clear_error(run_relay: RunRelay) -> None:
    """The provider is gone without a word: nothing answers, and the deadline says so."""
    gateway = await run_relay(first_byte_seconds=0.4)
    deaf = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", "2")]) + b"ok")
        if not deaf.is_set():
            deaf.set()
            await asyncio.sleep(3)

    async with raw_upstream(once) as endpoint:
        gateway.set_up(endpoint)
        client = await gateway.connect()
        client.send(request())
        assert (await client.read_answer())[1] == b"ok"
        client.send(request())
        told = await Told.read(client)
        assert (told.status, told.code, told.source) == (504, "upstream_timeout", "upstream")
        assert (await gateway.ask(request(close=True))).endswith(b"ok")
