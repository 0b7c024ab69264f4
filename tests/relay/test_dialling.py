"""How a connection comes about: which address is tried when (RFC 8305), and no socket is left."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from services.data_plane.relay.upstream.egress import HAPPY_EYEBALLS_DELAY_SECONDS, DirectEgress, Made
from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
from shared.addresses import AddressPolicy
from shared.endpoint import Endpoint
from tests.relay.conftest import KEY, RelayUnderTest, RunRelay, request
from tests.support.answers import head_bytes, whole
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.tls_contexts import loopback_contexts

KEYS = frozenset({KEY.encode()})
HERE, THERE = "127.0.0.1", "127.0.0.2"
NOWHERE = "255.255.255.255"
"""Has no route, whatever the port."""
_SYNS_BEFORE_IT_IS_FULL = 4


@dataclass
class Name:
    """A name with these addresses, and a scope for the IPv6 addresses."""

    addresses: tuple[str, ...]
    scope: int = 0

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:  # noqa: ARG002  # the seam's signature
        return [self._info(address, port) for address in self.addresses]

    def _info(self, address: str, port: int) -> AddressInfo:
        if ":" in address:
            where: tuple[str | int, ...] = (address, port, 0, self.scope)
            return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


@dataclass
class Hole:
    """A listener with a full queue, so that every SYN is dropped until `open`."""

    address: str
    port: int = 0
    knocking: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Hole]:
        with socket.create_server((self.address, self.port), backlog=0) as self.listener:
            self.port = self.listener.getsockname()[1]
            try:
                for _ in range(_SYNS_BEFORE_IT_IS_FULL):
                    self.knocking.append(socket.socket())
                    self.knocking[-1].setblocking(False)
                    self.knocking[-1].connect_ex((self.address, self.port))
                yield self
            finally:
                self._leave()

    def _leave(self) -> None:
        for knocking in self.knocking:
            knocking.close()
        self.knocking.clear()

    def open(self) -> None:
        """Make room: a repeated SYN is let in."""
        self._leave()
        self.listener.accept()[0].close()
        self.listener.listen(16)


async def _relay_to(
    run_relay: RunRelay, *addresses: str, tls: ssl.SSLContext | None = None, scope: int = 0, **limits: float
) -> RelayUnderTest:
    policy = AddressPolicy.of(["127.0.0.0/8", "::1/128", "fe80::/10", f"{NOWHERE}/32"])
    resolver = Resolver(policy, look_up=Name(addresses, scope))
    return await run_relay(tls=tls, resolver=resolver, **limits)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names of descriptors, not of files


async def test_a_connection_does_not_wait_to_fill_its_packets(run_relay: RunRelay) -> None:
    for addresses in [(HERE,), (HERE, THERE), (THERE, HERE)]:
        gateway = await _relay_to(run_relay, *addresses)
        async with ScriptedUpstream(keys=KEYS) as upstream:
            gateway.set_up(f"http://name.example:{upstream.port}/v1")
            upstream.queue(whole(b"ok"))
            client = await gateway.connect()
            client.send(request())
            assert (await client.read_answer())[1] == b"ok"
            (idle,) = gateway.relay.parts.pool._by_age
            carrier = idle._transport.get_extra_info("socket")
            assert carrier.getpeername() == (HERE, upstream.port)
            assert carrier.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("addresses", [(THERE, HERE), ("::1", HERE), (NOWHERE, THERE, "::1", HERE)])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_an_address_that_refuses_costs_a_request_nothing(
    run_relay: RunRelay,
    addresses: tuple[str, ...],
    tls: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    serving, trusting = loopback_contexts()
    gateway = await _relay_to(run_relay, *addresses, tls=trusting)
    async with ScriptedUpstream(keys=KEYS, tls=serving if tls else None) as upstream:
        # The certificate is for an address, which is looked up here like any other name.
        gateway.set_up(f"{upstream.origin}/v1")
        upstream.queue(whole(b"ok"))
        assert (await gateway.ask(request(close=True))).endswith(b"ok")
    assert upstream.accepted == 1


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ((THERE,), b"the connection was refused"),
        ((THERE, HERE), b"the connection was refused"),
        ((THERE, "::1", HERE), b"the connection was refused"),
        ((NOWHERE,), b"there is no route to it"),
        ((NOWHERE, NOWHERE), b"there is no route to it"),
        ((NOWHERE, THERE), b"connecting failed"),
        ((THERE, NOWHERE, HERE), b"connecting failed"),
    ],
)
async def test_what_is_wrong_with_every_address_is_said(
    run_relay: RunRelay, addresses: tuple[str, ...], said: bytes
) -> None:
    gateway = await _relay_to(run_relay, *addresses)
    with socket.socket() as unused:
        unused.bind((HERE, 0))  # and not listened on
        gateway.set_up(f"http://name.example:{unused.getsockname()[1]}/v1")
        answer = await gateway.ask(request(close=True))
    assert b"x-run9-error: upstream_unreachable" in answer
    assert said in answer


async def test_the_other_family_has_the_second_turn(run_relay: RunRelay) -> None:
    """A fault of an address is often a fault of its whole family (RFC 8305, section 4)."""
    gateway = await _relay_to(run_relay, THERE, HERE, "::1")

    async def of_the_other_family(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_bytes("200 OK", [("Content-Length", "5")]) + b"other")
        writer.close()

    async with (
        ScriptedUpstream(keys=KEYS, respond=lambda _: whole(b"same")) as upstream,
        await asyncio.start_server(of_the_other_family, "::1", upstream.port),
    ):
        gateway.set_up(f"http://name.example:{upstream.port}/v1")
        assert (await gateway.ask(request(close=True))).endswith(b"other")


async def test_the_others_are_tried_beside_a_first_address_that_is_silent(run_relay: RunRelay) -> None:
    gateway = await _relay_to(run_relay, THERE, HERE)
    async with ScriptedUpstream(keys=KEYS) as upstream:
        with Hole(THERE, upstream.port).running():
            before = _open_files()
            gateway.set_up(f"http://name.example:{upstream.port}/v1")
            upstream.queue(whole(b"ok"))
            began = time.monotonic()
            client = await gateway.connect()
            client.send(request(close=True))
            assert (await client.read_all()).endswith(b"ok")
            assert time.monotonic() - began >= HAPPY_EYEBALLS_DELAY_SECONDS
            client.abort()
            gateway.relay.parts.pool.close()
            await gateway.settled(lambda: _open_files() <= before)


async def test_a_silent_first_address_is_not_given_up_for_others_that_are_silent_too(
    run_relay: RunRelay,
) -> None:
    """The first SYN is sent again after a second and is then let in: a new attempt would begin anew."""
    gateway = await _relay_to(run_relay, THERE, HERE)
    with Hole(HERE).running() as other, Hole(THERE, other.port).running() as first:
        gateway.set_up(f"http://name.example:{first.port}/v1")
        client = await gateway.connect()
        client.send(request())
        await asyncio.sleep(2 * HAPPY_EYEBALLS_DELAY_SECONDS)
        first.open()
        first.listener.setblocking(False)
        arrived: list[bytes] = []
        async with asyncio.timeout(10):
            while not arrived:
                accepted, _ = await asyncio.get_running_loop().sock_accept(first.listener)
                with accepted:
                    accepted.setblocking(False)
                    if data := await asyncio.get_running_loop().sock_recv(accepted, 65536):
                        arrived.append(data)
    assert arrived[0].startswith(b"GET /v1/")


@pytest.mark.parametrize("addresses", [(HERE,), (HERE, THERE), (HERE, "::1", THERE)])
@pytest.mark.parametrize("end", ["deadline", "the box leaves"])
async def test_an_attempt_that_is_given_up_leaves_no_socket(
    run_relay: RunRelay, addresses: tuple[str, ...], end: str
) -> None:
    gateway = await _relay_to(run_relay, *addresses, connect_seconds=0.5 if end == "deadline" else 60)
    with Hole(HERE).running() as hole, Hole(THERE, hole.port).running():
        before = _open_files()
        gateway.set_up(f"http://name.example:{hole.port}/v1")
        client = await gateway.connect()
        client.send(request(close=True))
        if end == "deadline":
            assert (await client.read_all()).startswith(b"HTTP/1.1 504 ")
        else:
            await gateway.settled(lambda: len(gateway.relay.parts.tasks) == 1)
            await asyncio.sleep(1.2 * HAPPY_EYEBALLS_DELAY_SECONDS)
        client.abort()
        await gateway.settled(lambda: len(gateway.relay.parts.tasks) == 0)
        await gateway.settled(lambda: _open_files() <= before)


async def test_an_address_with_a_scope_is_never_dialled_on_another_interface(run_relay: RunRelay) -> None:
    """The event loop drops the scope, and would then choose one by itself; a bare socket refuses to guess."""
    gateway = await _relay_to(run_relay, "fe80::1", scope=1, connect_seconds=2)
    gateway.set_up("http://name.example:9/v1")
    assert b"(connecting failed)" in await gateway.ask(request(close=True))


async def test_behind_the_check_no_name_is_looked_up() -> None:
    """A name among the addresses would be an error, not a look-up."""

    class Unchecked:
        async def resolve(self, host: str, port: int) -> tuple[AddressInfo, ...]:
            return tuple(await Name((host,))(host, port))

    egress = DirectEgress(cast("Resolver", Unchecked()))
    with pytest.raises(socket.gaierror):
        await egress.connect(Endpoint("http", "localhost", 9, ""), asyncio.Protocol)


@dataclass
class Hasty(DirectEgress):
    """Has the provider act before any request can have reached the provider."""

    end: Callable[[asyncio.Protocol], None]

    def __post_init__(self) -> None:
        super().__init__(Resolver(AddressPolicy.of(["127.0.0.0/8"])))

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        made = await super().connect(endpoint, make)
        self.end(made)
        return made


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda made: made.data_received(head_bytes("503 Busy", [])), id="it speaks first"),
        pytest.param(lambda made: made.connection_lost(None), id="it hangs up"),
    ],
)
async def test_a_provider_that_ends_a_connection_before_it_was_asked_is_unreachable_at_once(
    run_relay: RunRelay, end: Callable[[asyncio.Protocol], None], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await run_relay(egress=Hasty(end))
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(f"{upstream.origin}/v1")
        answer = await gateway.ask(request(close=True))
        assert b"x-run9-error: upstream_unreachable" in answer
        assert b"before it was asked" in answer
        assert upstream.requests == []
    assert gateway.relay.open_exchanges == 0
    assert caplog.records == []
