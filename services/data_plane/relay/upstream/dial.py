"""Opens a connection to an endpoint: by the way out, and TLS on the name.

The connection leads to a checked address (`egress.py`), and the certificate is verified against the name, so
nothing between the check and the connect can change the key's destination.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from services.data_plane.core.refused import Refused
from services.data_plane.relay.upstream.tls import SessionCache, TlsConnection
from shared.rejections import Rejection

if TYPE_CHECKING:
    from pathlib import Path

    from services.data_plane.relay.upstream.connection import UpstreamConnection
    from services.data_plane.relay.upstream.egress import Egress
    from services.data_plane.relay.upstream.resolver import Resolver
    from shared.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class DialConfig:
    """How endpoints are reached, by boxes' requests and by key tests alike.

    Attributes:
        egress: directly, or by the operator's proxy.
        resolver: of names; None where the proxy looks them up.
        tls: verifies endpoints.
        connect_seconds: for a connection, TLS included.
        allow_plain_http: whether endpoints without TLS may be dialled.
    """

    egress: Egress
    resolver: Resolver | None
    tls: ssl.SSLContext
    connect_seconds: float
    allow_plain_http: bool

    def dialer(self) -> Dialer:
        """Make a dialer, which remembers TLS sessions of its own."""
        return Dialer(self.egress, self.tls, self.connect_seconds, allow_plain_http=self.allow_plain_http)


class Dialer:
    """Opens connections under an address policy, a TLS configuration and a deadline."""

    def __init__(
        self, egress: Egress, tls: ssl.SSLContext, connect_seconds: float, *, allow_plain_http: bool
    ) -> None:
        self._egress = egress
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._sessions = SessionCache()
        self._allow_plain_http = allow_plain_http

    async def dial(self, endpoint: Endpoint, factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        """Connect the protocol made by `factory` to `endpoint`.

        Raises:
            Refused: `upstream_unreachable` or `upstream_timeout`, with a detail free of addresses.
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
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, explain(error)) from None

    async def _connect(
        self, endpoint: Endpoint, factory: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        # Protocols by their methods, which is all that event loops ask for (docs/adr/0014).
        if not endpoint.tls:
            make = cast("Callable[[], asyncio.Protocol]", factory)
            return cast("UpstreamConnection", await self._egress.connect(endpoint, make))

        def over_tls() -> asyncio.Protocol:
            inner = factory()
            return cast("asyncio.Protocol", TlsConnection(inner, self._tls, endpoint.host, self._sessions))

        tls = cast("TlsConnection", await self._egress.connect(endpoint, over_tls))
        try:
            await tls.ready
        except BaseException:
            tls.raw.abort()
            raise
        return tls.inner


def provider_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the operator's authorities, or the system's where none are given."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def explain(error: OSError) -> str:
    """Describe the failure without an address or a library's own words."""
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
