"""Opens one connection to an endpoint: resolve, check, race the addresses, TLS on the name.

The socket is connected to an address that was checked, and the certificate is verified against the name, so
that nothing between the check and the connect can change where the key goes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import aiohappyeyeballs

from services.data_plane.core.refused import Refused
from services.data_plane.relay.tls import SessionCache, TlsConnection
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.relay.resolver import Resolver
    from services.data_plane.relay.upstream_connection import UpstreamConnection
    from shared.endpoint import Endpoint

HAPPY_EYEBALLS_DELAY_SECONDS: Final = 0.25  # RFC 8305 §5


class Dialer:
    """Opens connections under one address policy, one TLS configuration and one deadline."""

    def __init__(
        self, resolver: Resolver, tls: ssl.SSLContext, connect_seconds: float, *, allow_plain_http: bool
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._sessions = SessionCache()
        self._allow_plain_http = allow_plain_http

    async def dial(self, endpoint: Endpoint, factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        """Connect what `factory` makes to `endpoint`.

        Raises:
            Refused: `upstream_unreachable` or `upstream_timeout`, with a detail that names no address.
        """
        if not endpoint.tls and not self._allow_plain_http:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "plain http is not allowed here")
        try:
            async with asyncio.timeout(self._connect_seconds):
                return await self._connect(endpoint, factory)
        except TimeoutError:
            detail = f"connecting took longer than {self._connect_seconds:g} s"
            raise Refused(Rejection.UPSTREAM_TIMEOUT, detail) from None
        except (OSError, ssl.SSLError, ssl.CertificateError) as error:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, _explain(error)) from None

    async def _connect(
        self, endpoint: Endpoint, factory: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        infos = await self._resolver.resolve(endpoint.host, endpoint.port)
        connected = await aiohappyeyeballs.start_connection(
            list(infos), happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_SECONDS, loop=loop
        )
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not endpoint.tls:
            _, plain = await loop.create_connection(factory, sock=connected)
            return plain
        _, tls = await loop.create_connection(
            lambda: TlsConnection(factory(), self._tls, endpoint.host, self._sessions), sock=connected
        )
        try:
            await tls.ready
        except BaseException:
            tls.raw.abort()
            raise
        return tls.inner


def _explain(error: OSError) -> str:
    """Say what failed without an address or a library's own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    match error.errno:
        case errno.ECONNREFUSED:
            return "the connection was refused"
        case errno.ECONNRESET:
            return "the connection was reset"
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return "there is no route to it"
        case _:
            return "connecting failed"
