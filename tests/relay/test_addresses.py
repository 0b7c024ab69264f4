"""Where connections go (threats 6 and 7): to checked addresses of the endpoint, whatever its name says."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
from shared.addresses import AddressPolicy
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, request
from tests.support.answers import head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream

KEYS = frozenset({KEY.encode()})
PUBLIC, INSIDE = "127.0.0.2", "127.0.0.1"
"""Two addresses of this machine: only the first may be dialled, as if it were the public one."""
FLIPS = 1000


def info(address: str, port: int) -> AddressInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


@dataclass
class FlippingName:
    """A name server of the attacker's: every look-up gets another answer."""

    answers: Sequence[tuple[str, ...]]
    asked: int = 0

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:
        answer = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        return [info(address, port) for address in answer]


@dataclass
class TwoFaces:
    """A server on both addresses that counts who connected to which."""

    accepted: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted[writer.get_extra_info("sockname")[0]] += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head_bytes("200 OK", [("Content-Length", "2"), ("Connection", "close")]) + b"ok")
        except (EOFError, ConnectionError):
            pass  # nothing was sent, which is what the count is about
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        servers = [await asyncio.start_server(self._serve, INSIDE, 0)]
        self.port = servers[0].sockets[0].getsockname()[1]
        servers.append(await asyncio.start_server(self._serve, PUBLIC, self.port))
        try:
            yield
        finally:
            for server in servers:
                server.close()


async def _relay_of(run_relay: RunRelay, name: FlippingName, ttl_seconds: float = 0.0) -> RelayUnderTest:
    policy = AddressPolicy.of([f"{PUBLIC}/32"])
    return await run_relay(resolver=Resolver(policy, look_up=name, ttl_seconds=ttl_seconds))


async def test_a_name_that_flips_never_leads_to_an_address_that_is_not_public(run_relay: RunRelay) -> None:
    dice = random.Random(7)
    inside = [
        INSIDE,
        "::1",
        "10.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fe80::1%lo",
    ]
    answers: list[tuple[str, ...]] = [
        (PUBLIC,) if dice.random() < 0.5 else (dice.choice(inside),) for _ in range(FLIPS)
    ]
    answers = [a if dice.random() < 0.8 else (*a, PUBLIC, dice.choice(inside)) for a in answers]
    name, server = FlippingName(answers), TwoFaces()
    gateway = await _relay_of(run_relay, name)
    async with server.running():
        gateway.set_up(f"http://rebinding.example:{server.port}/v1")
        client = await gateway.connect()
        statuses: Counter[bytes] = Counter()
        for _ in range(FLIPS):
            client.send(request())
            statuses[(await client.read_answer())[0][9:12]] += 1
    assert name.asked == FLIPS
    assert server.accepted[INSIDE] == 0
    assert server.accepted[PUBLIC] == statuses[b"200"] == answers.count((PUBLIC,))
    assert statuses[b"502"] == FLIPS - statuses[b"200"]


async def test_the_connection_goes_to_the_address_that_was_checked_not_to_the_name(
    run_relay: RunRelay,
) -> None:
    """`localhost` would lead inside; the checked answer leads to the other address."""
    name, server = FlippingName([(PUBLIC,)]), TwoFaces()
    gateway = await _relay_of(run_relay, name)
    async with server.running():
        gateway.set_up(f"http://localhost:{server.port}/v1")
        assert (await gateway.ask(request(close=True))).endswith(b"ok")
    assert server.accepted == {PUBLIC: 1}


async def test_a_name_is_asked_again_only_when_its_answer_is_old(run_relay: RunRelay) -> None:
    name, server = FlippingName([(PUBLIC,)]), TwoFaces()
    gateway = await _relay_of(run_relay, name, ttl_seconds=60)
    async with server.running():
        gateway.set_up(f"http://steady.example:{server.port}/v1")
        for _ in range(5):
            assert (await gateway.ask(request(close=True))).endswith(b"ok")
    assert name.asked == 1
    assert server.accepted == {PUBLIC: 5}


async def test_a_name_that_does_not_resolve_is_the_endpoints_fault_and_is_asked_again(
    run_relay: RunRelay,
) -> None:
    name, server = FlippingName([(), (PUBLIC,)]), TwoFaces()
    gateway = await _relay_of(run_relay, name, ttl_seconds=60)
    async with server.running():
        gateway.set_up(f"http://gone.example:{server.port}/v1")
        answer = await gateway.ask(request(close=True))
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"its name does not resolve" in answer
        assert (await gateway.ask(request(close=True))).endswith(b"ok")


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-Host: 127.0.0.1:{port}",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: host=127.0.0.1:{port}",
        "X-Original-URL: http://127.0.0.1:{port}/",
        "X-Rewrite-URL: http://127.0.0.1:{port}/",
        "Referer: http://127.0.0.1:{port}/",
        "Proxy-Authorization: Basic eDp5",
        "Alt-Used: 127.0.0.1:{port}",
    ],
)
async def test_no_header_chooses_the_destination(run_relay: RunRelay, line: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream() as elsewhere, ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"))
        answer = await gateway.ask(request("GET", "/v1/models", line.format(port=elsewhere.port), close=True))
        assert answer.endswith(b"ok")
        assert elsewhere.accepted == 0


@pytest.mark.parametrize(
    "raw",
    [
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET http://127.0.0.1:{port}/run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
        "GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET //127.0.0.1:{port}/run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
        "GET /run9/ai/openai/@127.0.0.1:{port}/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
        "TRACE /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n",
    ],
)
async def test_no_request_line_and_no_host_chooses_the_destination(run_relay: RunRelay, raw: str) -> None:
    gateway = await run_relay()
    async with (
        ScriptedUpstream() as elsewhere,
        ScriptedUpstream(keys=KEYS, base_path=b"/v1", respond=lambda _: whole(b"ok")) as upstream,
    ):
        gateway.set_up(f"{upstream.origin}/v1")
        client = await gateway.connect()
        client.send(raw.format(port=elsewhere.port).encode())
        assert (await client.read_head()).startswith(b"HTTP/1.1 ")
        assert elsewhere.accepted == 0
        assert all(r.values("host") == [upstream.origin[7:].encode()] for r in upstream.requests)
