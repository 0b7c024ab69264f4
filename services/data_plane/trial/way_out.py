"""How production reaches an endpoint, for a connection that is not one of the relay's pooled ones.

The same way out, addresses and TLS configuration. TLS itself is the event loop's: the relay's own layer
carries its pooled connections only, and remembers sessions; here the certificate is looked at each time.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.data_plane.core.refused import Refused
from services.data_plane.relay.dial import explain
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.egress import Egress
    from services.data_plane.relay.resolver import Resolver
    from shared.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class WayOut:
    """How production reaches an endpoint. `resolver` is None where a proxy looks the names up."""

    egress: Egress
    resolver: Resolver | None
    tls: ssl.SSLContext
    limits: RelayLimits
    allow_plain_http: bool

    async def connect(self, endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
        """Connect `protocol` to `endpoint`.

        Raises:
            Refused: `upstream_unreachable` or `upstream_timeout`, with a detail that names no address.
        """
        if not endpoint.tls and not self.allow_plain_http:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, "plain http is not allowed here")
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                await self._connect(endpoint, protocol)
        except TimeoutError:
            detail = f"connecting took longer than {self.limits.connect_seconds:g} s"
            raise Refused(Rejection.UPSTREAM_TIMEOUT, detail) from None
        except (OSError, ssl.SSLError, ssl.CertificateError) as error:
            raise Refused(Rejection.UPSTREAM_UNREACHABLE, explain(error)) from None

    async def _connect(self, endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        connected = await self.egress.open(endpoint)
        try:
            if endpoint.tls:
                await loop.create_connection(
                    lambda: protocol, sock=connected, ssl=self.tls, server_hostname=endpoint.host
                )
            else:
                await loop.create_connection(lambda: protocol, sock=connected)
        except BaseException:
            connected.close()
            raise
