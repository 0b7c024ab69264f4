"""How a connection to an endpoint comes about: directly to a checked address, or by the operator's proxy.

The event loop connects to a checked address by itself, which costs half of what a socket of Python's costs
that is made, connected and handed over. Sockets are for what the loop cannot do: races and tunnels.

The proxy is set by the operator, never by the environment's proxy variables, and only ever asked for a tunnel
(CONNECT), so that it sees the endpoint's name and no byte of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from base64 import b64encode
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import aiohappyeyeballs

from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.relay.resolver import AddressInfo, Resolver
    from shared.addresses import AddressPolicy
    from shared.endpoint import Endpoint
    from shared.secret import Secret

HAPPY_EYEBALLS_DELAY_SECONDS: Final = 0.25  # RFC 8305 §5
MAX_PROXY_HEAD_BYTES: Final = 16 * 1024
Made = TypeVar("Made", bound=asyncio.Protocol)
_ESTABLISHED: Final = re.compile(rb"HTTP/1\.[01] 2[0-9]{2}[ \r]")


class Egress(Protocol):
    """The way out."""

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Connect a protocol to `endpoint` and give it; raises `Refused` or `OSError`.

        Args:
            endpoint: where to.
            make: makes a protocol. Each attempt at an address has its own, and only one of them lives on.
        """
        ...

    async def open(self, endpoint: Endpoint) -> socket.socket:
        """Give a connected socket whose other end is `endpoint`; raises `Refused` or `OSError`."""
        ...


class DirectEgress:
    """Connects to the addresses that the resolver has checked, racing them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Resolve, check, connect: in nearly every case to the first address, at once."""
        infos = await self._resolver.resolve(endpoint.host, endpoint.port)
        attempt = _reach(infos[0], make) if len(infos) == 1 else _race(infos, make)
        _, protocol = await attempt
        return protocol

    async def open(self, endpoint: Endpoint) -> socket.socket:
        """Resolve, check, race, connect."""
        return await _open_one_of(await self._resolver.resolve(endpoint.host, endpoint.port))


class ProxyEgress:
    """Asks the operator's proxy for a tunnel (RFC 9110 §9.3.6).

    The proxy resolves the endpoint's name, so which addresses it may lead to is the proxy's policy; a literal
    address in an endpoint is still judged here. TLS is verified on the name, through the tunnel.

    Args:
        host, port: of the proxy.
        credentials: `user:password` for `Proxy-Authorization: Basic` (RFC 7617); None for none.
        policy: judges literal addresses.
    """

    def __init__(self, host: str, port: int, credentials: Secret | None, policy: AddressPolicy) -> None:
        self._host = host
        self._port = port
        self._credentials = credentials
        self._policy = policy

    async def connect(self, endpoint: Endpoint, make: Callable[[], Made]) -> Made:
        """Have a tunnel and connect a protocol to it."""
        _, protocol = await _hand_over(await self.open(endpoint), make)
        return protocol

    async def open(self, endpoint: Endpoint) -> socket.socket:
        """Connect to the proxy and have it connect to the endpoint."""
        self._check_literal(endpoint.host)
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await _open_one_of(infos)
        try:
            await loop.sock_sendall(connected, self._request(endpoint))
            _check_answer(await _read_head(connected))
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


async def _reach(info: AddressInfo, make: Callable[[], Made]) -> tuple[asyncio.Transport, Made]:
    """Connect to one address. The event loop takes it as a number, so that no name is looked up any more.

    It also sets TCP_NODELAY by itself.
    """
    family, _, _, _, address = info
    # An IPv6 scope, for which the event loop has no argument: it would choose an interface by itself.
    if any(address[2:]):
        return await _hand_over(await _open_one_of((info,)), make)
    return await asyncio.get_running_loop().create_connection(
        make, address[0], address[1], family=family, flags=socket.AI_NUMERICHOST
    )


async def _race(infos: Sequence[AddressInfo], make: Callable[[], Made]) -> tuple[asyncio.Transport, Made]:
    """Connect to the first address; beside it to the others once it is late or has failed (RFC 8305 §5)."""
    loop = asyncio.get_running_loop()
    attempts = [loop.create_task(_reach(infos[0], make))]
    try:
        await asyncio.wait(attempts, timeout=HAPPY_EYEBALLS_DELAY_SECONDS)
        if not _has_won(attempts[0]):
            # The other family's turn is next (§4); the race among them keeps that order.
            others = sorted(infos[1:], key=lambda info: info[0] == infos[0][0])
            attempts.append(loop.create_task(_reach_one_of(others, make)))
        while (winner := next(filter(_has_won, attempts), None)) is None:
            running = [attempt for attempt in attempts if not attempt.done()]
            if not running:
                raise _reason([cast("BaseException", attempt.exception()) for attempt in attempts])
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        attempts.remove(winner)
        return winner.result()
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_drop)
            attempt.cancel()


def _has_won(attempt: asyncio.Task[Any]) -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None


def _drop(attempt: asyncio.Task[tuple[asyncio.Transport, Any]]) -> None:
    """Close what came too late to be used."""
    if _has_won(attempt):
        attempt.result()[0].abort()


def _reason(errors: Sequence[BaseException]) -> BaseException:
    """Give the error that stands for all: theirs if they agree, one without a number if they do not."""
    faults = [error for error in errors if not isinstance(error, OSError)]
    if faults:
        return faults[0]
    numbers = {cast("OSError", error).errno for error in errors}
    return errors[0] if len(numbers) == 1 else OSError("no address could be reached")


async def _reach_one_of(
    infos: Sequence[AddressInfo], make: Callable[[], Made]
) -> tuple[asyncio.Transport, Made]:
    return await _hand_over(await _open_one_of(infos), make)


async def _open_one_of(infos: Sequence[AddressInfo]) -> socket.socket:
    """Race the addresses."""
    connected = await aiohappyeyeballs.start_connection(
        list(infos),
        happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_SECONDS,
        loop=asyncio.get_running_loop(),
    )
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


async def _hand_over(connected: socket.socket, make: Callable[[], Made]) -> tuple[asyncio.Transport, Made]:
    """Connect a protocol to a socket that is connected."""
    try:
        return await asyncio.get_running_loop().create_connection(make, sock=connected)
    except BaseException:
        connected.close()
        raise


async def _read_head(connected: socket.socket) -> bytes:
    """Read the proxy's answer. Behind it nothing may come: the endpoint speaks only when it is spoken to."""
    loop, head = asyncio.get_running_loop(), b""
    while not head.endswith(b"\r\n\r\n"):
        piece = await loop.sock_recv(connected, 4096)
        head += piece
        if not piece or len(head) > MAX_PROXY_HEAD_BYTES:
            raise Refused(
                Rejection.UPSTREAM_UNREACHABLE, "the operator's egress proxy did not answer properly"
            )
    return head


def _check_answer(head: bytes) -> None:
    if not _ESTABLISHED.match(head):
        status = head[9:12].decode("latin-1") if head.startswith(b"HTTP/1.") else "none"
        detail = f"the operator's egress proxy refused the tunnel, status {status}"
        raise Refused(Rejection.UPSTREAM_UNREACHABLE, detail)
