"""TLS to the provider: verified by name, resumed, and never mistaken for a clean end when it breaks."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme

from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, raw_upstream, request
from tests.support.answers import chunked, head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream, Send

KEYS = frozenset({KEY.encode()})


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._ca.configure_trust(self.trusting)

    def server(self, name: str = "localhost") -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def _by_name(gateway: RelayUnderTest, endpoint: str) -> None:
    gateway.set_up(endpoint.replace("127.0.0.1", "localhost"))


async def test_requests_and_streams_pass_over_tls(run_relay: RunRelay, authority: Authority) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))
    async with ScriptedUpstream(keys=KEYS, tls=authority.server()) as upstream:
        _by_name(gateway, f"{upstream.origin}/v1")
        stream = chunked([b"data: %d\n\n" % n for n in range(200)])
        upstream.queue(whole(b"ok"), stream, whole(b"x" * 1_000_000))
        client = await gateway.connect()
        client.send(request("POST", body=b"y" * 1_000_000))
        assert (await client.read_answer())[1] == b"ok"
        client.send(request())
        await client.read_head()
        expected = b"".join(step.data for step in stream[1:] if isinstance(step, Send))
        assert await client.read(len(expected)) == expected
        client.send(request())
        assert (await client.read_answer())[1] == b"x" * 1_000_000
    assert upstream.accepted == 1
    assert upstream.requests[0].body == b"y" * 1_000_000


async def test_a_new_connection_resumes_the_tls_session(run_relay: RunRelay, authority: Authority) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))
    resumed: list[bool] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", "2"), ("Connection", "close")]) + b"ok")
        await writer.drain()

    async with raw_upstream(once, tls=authority.server()) as endpoint:
        _by_name(gateway, endpoint)
        for _ in range(3):
            assert (await gateway.ask(request(close=True))).endswith(b"ok")
    assert resumed == [False, True, True]


async def test_a_certificate_of_another_name_is_refused(run_relay: RunRelay, authority: Authority) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))
    async with ScriptedUpstream(keys=KEYS, tls=authority.server("other.example")) as upstream:
        _by_name(gateway, f"{upstream.origin}/v1")
        answer = await gateway.ask(request(close=True))
    assert b"x-run9-error: upstream_unreachable" in answer
    assert b"TLS certificate is not valid" in answer
    assert upstream.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused(
    run_relay: RunRelay, authority: Authority
) -> None:
    gateway = await run_relay(policy=("127.0.0.0/8", "::1/128"))
    async with ScriptedUpstream(keys=KEYS, tls=authority.server()) as upstream:
        _by_name(gateway, f"{upstream.origin}/v1")
        answer = await gateway.ask(request(close=True))
    assert b"TLS certificate is not valid" in answer
    assert upstream.requests == []


async def test_an_answer_that_ends_without_the_goodbye_is_a_visible_break(
    run_relay: RunRelay, authority: Authority
) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", []) + b"half")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()  # FIN or RST, but no close_notify

    async with raw_upstream(cut, tls=authority.server()) as endpoint:
        _by_name(gateway, endpoint)
        client = await gateway.connect()
        client.send(request())
        await client.read_until(b"half")
        with pytest.raises(ConnectionResetError):
            await client.read_all()


async def test_a_provider_that_refuses_an_upload_and_closes_is_heard(
    run_relay: RunRelay, authority: Authority
) -> None:
    """Its kernel resets the connection under the upload. A write that fails must not hide the answer."""
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> ssl.SSLSocket:
            provider = authority.server().wrap_socket(listener.accept()[0], server_side=True)
            assert provider.recv(10)
            return provider

        _by_name(gateway, f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
        client = await gateway.connect()
        client.send(request("POST", "/v1/files", "Content-Length: 10000"))
        provider = await asyncio.to_thread(accept)
        box = next(iter(gateway.connections))
        box.data_received(b"x" * 1000)
        gateway.relay.parts.batch.flush()
        await asyncio.sleep(0.05)
        # In one turn of the loop, so that it writes before it reads.
        provider.sendall(head_bytes("413 Content Too Large", [("Content-Length", "3")]) + b"big")
        provider.close()
        box.data_received(b"x" * 1000)
        gateway.relay.parts.batch.flush()
        head, body = await client.read_answer()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert body == b"big"


async def test_an_answer_that_ends_with_the_goodbye_is_whole(
    run_relay: RunRelay, authority: Authority
) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))

    async def whole_until_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", []) + b"all of it")
        await writer.drain()

    async with raw_upstream(whole_until_close, tls=authority.server()) as endpoint:
        _by_name(gateway, endpoint)
        assert (await gateway.ask(request())).endswith(b"\r\n\r\nall of it")


async def test_a_plain_server_on_a_tls_endpoint_is_unreachable(
    run_relay: RunRelay, authority: Authority
) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(-1)

    async with raw_upstream(plain) as endpoint:
        _by_name(gateway, endpoint.replace("http:", "https:"))
        answer = await gateway.ask(request(close=True))
    assert b"the TLS handshake failed" in answer


async def test_a_server_that_never_shakes_hands_is_a_timeout(
    run_relay: RunRelay, authority: Authority
) -> None:
    gateway = await run_relay(tls=authority.trusting, policy=("127.0.0.0/8", "::1/128"), connect_seconds=0.3)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001  # a handler's signature
        await reader.read(-1)

    async with raw_upstream(silent) as endpoint:
        _by_name(gateway, endpoint.replace("http:", "https:"))
        answer = await gateway.ask(request(close=True))
    assert answer.startswith(b"HTTP/1.1 504 ")
