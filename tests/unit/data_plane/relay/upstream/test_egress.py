"""The ways out over a socket pair: the dialled peer, the request to a proxy, and its permitted answers."""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from services.data_plane.core.refused import Refused
from services.data_plane.relay.upstream.egress import (
    MAX_PROXY_HEAD_BYTES,
    DirectEgress,
    Egress,
    ProxyEgress,
)
from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
from shared.addresses import AddressPolicy
from shared.endpoint import parse_endpoint
from shared.rejections import Rejection
from shared.secret import Secret
from shared.tasks import TaskSet

ENDPOINT = parse_endpoint("https://provider.example/v1")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n"
LITERALS = AddressPolicy.of(["192.0.2.0/24"])


class Received(asyncio.Protocol):
    """Keeps the bytes of its connection."""

    def __init__(self) -> None:
        self.data, self.ended = b"", asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.ended.set()


class Opener:
    """Opens nothing: gives an end of a socket pair, and keeps the addresses asked for."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.asked: list[list[str]] = []

    async def __call__(self, infos: Sequence[AddressInfo]) -> socket.socket:
        self.asked.append([info[4][0] for info in infos])
        return self._end


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours for the egress, and the other side's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
async def tasks() -> AsyncIterator[TaskSet]:
    running = TaskSet()
    yield running
    await running.aclose()


async def _drained(egress: Egress, theirs: socket.socket) -> bytes:
    """Connect through, let the other side say something and close; gives the protocol's received bytes."""
    protocol = await egress.connect(ENDPOINT, Received)
    await asyncio.get_running_loop().sock_sendall(theirs, b"from the endpoint")
    theirs.close()
    await asyncio.wait_for(protocol.ended.wait(), 10)
    return protocol.data


def _info(address: str, scope: int = 0) -> AddressInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = (address, 443, 0, scope) if family is socket.AF_INET6 else (address, 443)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", end)


def _resolver(*infos: AddressInfo) -> Resolver:
    async def look_up(_host: str, _port: int) -> list[AddressInfo]:
        return list(infos)

    return Resolver(AddressPolicy.of(["192.0.2.0/24", "127.0.0.0/8", "fe80::/10"]), look_up=look_up)


@pytest.mark.parametrize(
    "infos", [[_info("192.0.2.1"), _info("192.0.2.2")], [_info("fe80::1", scope=3)]], ids=["race", "scope"]
)
async def test_several_addresses_or_a_scope_take_a_socket_that_is_then_handed_over(
    ends: tuple[socket.socket, socket.socket], infos: list[AddressInfo]
) -> None:
    opener = Opener(ends[0])
    assert await _drained(DirectEgress(_resolver(*infos), opener), ends[1]) == b"from the endpoint"
    assert opener.asked == [[info[4][0] for info in infos]]


async def test_a_lone_address_is_connected_by_the_event_loop_without_the_opener(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    opener = Opener(ends[0])
    accepted: list[Received] = []

    def accept() -> Received:
        accepted.append(Received())
        return accepted[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
    protocol = await DirectEgress(_resolver(info), opener).connect(ENDPOINT, Received)
    transport = protocol.transport
    assert isinstance(transport, asyncio.Transport)
    assert transport.get_extra_info("peername") == ("127.0.0.1", port)
    transport.write(b"to the endpoint")
    transport.close()
    await asyncio.wait_for(protocol.ended.wait(), 10)
    server.close()
    assert opener.asked == []
    await asyncio.wait_for(accepted[0].ended.wait(), 10)
    assert accepted[0].data == b"to the endpoint"


async def test_an_address_that_the_policy_refuses_is_never_opened(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    opener = Opener(ends[0])
    with pytest.raises(Refused):
        await DirectEgress(_resolver(_info("192.0.2.1"), _info("10.0.0.1")), opener).connect(
            ENDPOINT, Received
        )
    assert opener.asked == []


async def test_a_socket_whose_protocol_cannot_be_made_is_closed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    def broken() -> Received:
        raise RuntimeError

    egress = DirectEgress(_resolver(_info("192.0.2.1"), _info("192.0.2.2")), Opener(ends[0]))
    with pytest.raises(RuntimeError):
        await egress.connect(ENDPOINT, broken)
    assert ends[0].fileno() == -1


def _proxy(end: socket.socket, credentials: str | None = None) -> tuple[ProxyEgress, Opener]:
    opener = Opener(end)
    return ProxyEgress(
        "127.0.0.9", 3128, Secret(credentials) if credentials else None, LITERALS, opener
    ), opener


async def _play(theirs: socket.socket, pieces: Sequence[bytes], heard: list[bytes]) -> None:
    """Be a proxy: read a head, then send the pieces in turn, then close unless the connection is a tunnel."""
    loop, request = asyncio.get_running_loop(), b""
    while not request.endswith(b"\r\n\r\n"):
        request += await loop.sock_recv(theirs, 4096)
    heard.append(request)
    for piece in pieces:
        await loop.sock_sendall(theirs, piece)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("credentials", [None, "user:proxy-password"])
async def test_a_proxy_is_asked_for_a_tunnel_by_name_and_shown_nothing_else(
    ends: tuple[socket.socket, socket.socket], tasks: TaskSet, credentials: str | None
) -> None:
    egress, opener = _proxy(ends[0], credentials)
    heard: list[bytes] = []
    tasks.start(_play(ends[1], [ESTABLISHED[:20], ESTABLISHED[20:]], heard), "proxy")
    assert await _drained(egress, ends[1]) == b"from the endpoint"
    assert opener.asked == [["127.0.0.9"]]
    basic = b"Proxy-Authorization: Basic " + b64encode(b"user:proxy-password") + b"\r\n"
    assert heard == [
        b"CONNECT provider.example:443 HTTP/1.1\r\nHost: provider.example:443\r\n"
        + (basic if credentials else b"")
        + b"\r\n"
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n<page>"], "refused the tunnel, status 407"),
        ([b"HTTP/1.0 503 No\r\n\r\n"], "refused the tunnel, status 503"),
        ([b"SOCKS or so\r\n\r\n"], "refused the tunnel, status none"),
        ([ESTABLISHED + b"early"], "did not answer properly"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_PROXY_HEAD_BYTES], "did not answer properly"),
    ],
)
async def test_another_answer_than_a_tunnel_is_refused_in_words_and_the_socket_closed(
    ends: tuple[socket.socket, socket.socket], tasks: TaskSet, answer: list[bytes], said: str
) -> None:
    egress, _ = _proxy(ends[0], "user:proxy-password")
    tasks.start(_play(ends[1], answer, []), "proxy")
    with pytest.raises(Refused) as caught:
        await egress.connect(ENDPOINT, Received)
    assert caught.value.rejection is Rejection.UPSTREAM_UNREACHABLE
    assert caught.value.detail == f"the operator's egress proxy {said}"
    assert ends[0].fileno() == -1


async def test_a_proxy_that_hangs_up_is_told_as_one_that_did_not_answer_properly(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[1].shutdown(socket.SHUT_WR)
    with pytest.raises(Refused, match="did not answer properly"):
        await _proxy(ends[0])[0].connect(ENDPOINT, Received)
    assert ends[0].fileno() == -1


async def test_a_literal_address_in_an_endpoint_is_judged_before_the_proxy_is_asked(
    ends: tuple[socket.socket, socket.socket], tasks: TaskSet
) -> None:
    egress, opener = _proxy(ends[0])
    with pytest.raises(Refused, match="its address is not public"):
        await egress.connect(parse_endpoint("https://10.0.0.1/v1"), Received)
    assert opener.asked == []
    heard: list[bytes] = []
    tasks.start(_play(ends[1], [ESTABLISHED], heard), "proxy")
    protocol = await egress.connect(parse_endpoint("https://192.0.2.9:8443/v1"), Received)
    protocol.transport.close()
    await asyncio.wait_for(protocol.ended.wait(), 10)
    assert heard[0].startswith(b"CONNECT 192.0.2.9:8443 HTTP/1.1\r\n")
