"""How a connection to an endpoint comes about: directly to a checked address, or by the operator's proxy.

The event loop connects to a lone checked address by itself, at half the cost of a Python socket being made,
connected and handed over. Sockets are for the cases beyond the loop: races and tunnels.

The proxy is set by the operator, never by the environment's proxy variables, and is only ever asked for a
tunnel (CONNECT), so the proxy sees the endpoint's name and no byte of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import aiohappyeyeballs

from services.data_plane.core.head_buffer import HEAD_END
from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
    from shared.addresses import AddressPolicy
    from shared.endpoint import Endpoint
    from shared.secret import Secret

HAPPY_EYEBALLS_DELAY_SECONDS: Final = 0.25  # RFC 8305 §5
MAX_PROXY_HEAD_BYTES: Final = 16 * 1024
Made = TypeVar("Made", bound=asyncio.Protocol)
OpenSocket = Callable[["Sequence[AddressInfo]"], Awaitable[socket.socket]]
"""Gives a socket connected to one of several addresses; raises `OSError`. The network's own is `race`."""
_ESTABLISHED: Final = re.compile(rb"HTTP/1\.[01] 2[0-9]{2}[ \r]")


class Egress(Protocol):
    """The way out."""

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Connect a protocol to `endpoint` and give the protocol; raises `Refused` or `OSError`.

        Args:
            endpoint: where to.
            make: makes the protocol.
        """
        ...


class DirectEgress:
    """Connects to the addresses checked by the resolver, racing them. `open_socket`: see `OpenSocket`."""

    def __init__(self, resolver: Resolver, open_socket: OpenSocket | None = None) -> None:
        self._resolver = resolver
        self._open_socket = open_socket or race

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Resolve, check, connect; race where there are several addresses."""
        infos = await self._resolver.resolve(endpoint.host, endpoint.port)
        # An IPv6 scope takes a socket: the event loop has no argument for a scope, and would choose one.
        if len(infos) == 1 and not any(infos[0][4][2:]):
            return await _reach(infos[0], make)
        return await _hand_over(await self._open_socket(infos), make)


class ProxyEgress:
    """Asks the operator's proxy for a tunnel (RFC 9110 §9.3.6).

    The proxy resolves the endpoint's name, so the allowed addresses are the proxy's policy; a literal address
    in an endpoint is still judged here. TLS is verified on the name, through the tunnel.

    Args:
        host, port: of the proxy.
        credentials: `user:password` for `Proxy-Authorization: Basic` (RFC 7617); None for none.
        policy: judges literal addresses.
        open_socket: see `OpenSocket`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        credentials: Secret | None,
        policy: AddressPolicy,
        open_socket: OpenSocket | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._credentials = credentials
        self._policy = policy
        self._open_socket = open_socket or race

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Get a tunnel and connect a protocol to the tunnel."""
        return await _hand_over(await self._open(endpoint), make)

    async def _open(self, endpoint: Endpoint) -> socket.socket:
        """Connect to the proxy and ask for a tunnel to the endpoint."""
        self._check_literal(endpoint.host)
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await self._open_socket(infos)
        try:
            await loop.sock_sendall(connected, self._request(endpoint))
            _check_answer(*await _read_head(connected))
        except BaseException:
            connected.close()
            raise
        return connected

    def _check_literal(self, host: str) -> None:
        with contextlib.suppress(ValueError):
            if not self._policy.allows(ip_address(host)):
                raise Refused(Rejection.UPSTREAM_UNREACHABLE, "its address is not public")

    def _request(self, endpoint: Endpoint) -> bytes:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
        if self._credentials is not None:
            basic = b64encode(self._credentials.reveal().encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {basic}")
        return "\r\n".join([*lines, "", ""]).encode()


async def _reach(info: AddressInfo, make: Callable[[], Made]) -> Made:
    """Connect to an address.

    The event loop receives the address as a number, so no name is looked up any more. The loop also sets
    TCP_NODELAY by itself.
    """
    family, _, _, _, address = info
    _, protocol = await asyncio.get_running_loop().create_connection(
        make, address[0], address[1], family=family, flags=socket.AI_NUMERICHOST
    )
    return protocol


async def race(infos: Sequence[AddressInfo]) -> socket.socket:
    """Connect to the addresses, each a moment after the last, and give the first connected socket."""
    connected = await aiohappyeyeballs.start_connection(
        list(infos),
        happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_SECONDS,
        loop=asyncio.get_running_loop(),
    )
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


async def _hand_over(connected: socket.socket, make: Callable[[], Made]) -> Made:
    """Connect a protocol to a connected socket."""
    try:
        _, protocol = await asyncio.get_running_loop().create_connection(make, sock=connected)
    except BaseException:
        connected.close()
        raise
    return protocol


async def _read_head(connected: socket.socket) -> tuple[bytes, bytes]:
    """Read the proxy's answer; give its head, and the bytes behind."""
    loop, data, end = asyncio.get_running_loop(), b"", -1
    while end < 0:
        piece = await loop.sock_recv(connected, 4096)
        data += piece
        if not piece or len(data) > MAX_PROXY_HEAD_BYTES:
            raise _not_proper()
        end = data.find(HEAD_END)
    return data[: end + len(HEAD_END)], data[end + len(HEAD_END) :]


def _check_answer(head: bytes, behind: bytes) -> None:
    """A refusal may carry a page. Behind a tunnel nothing comes: the endpoint never speaks first."""
    if not _ESTABLISHED.match(head):
        status = head[9:12].decode("latin-1") if head.startswith(b"HTTP/1.") else "none"
        detail = f"the operator's egress proxy refused the tunnel, status {status}"
        raise Refused(Rejection.UPSTREAM_UNREACHABLE, detail)
    if behind:
        raise _not_proper()


def _not_proper() -> Refused:
    return Refused(Rejection.UPSTREAM_UNREACHABLE, "the operator's egress proxy did not answer properly")
