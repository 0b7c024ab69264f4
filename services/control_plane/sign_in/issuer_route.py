"""How issuers are reached: one rule for their configuration, keys, tokens and user info alike.

Knows addresses and certificates only; what an issuer answers is read elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class IssuerRoute:
    """The way to every issuer.

    Attributes:
        tls: verifies the servers.
        proxy_for: gives the proxy for a URL; None: connect directly.
    """

    tls: ssl.SSLContext
    proxy_for: Callable[[str], httpx.Proxy | None]

    def transport(self) -> httpx.AsyncBaseTransport:
        """Make a way for requests of an event loop, to any number of servers."""
        return _RoutedTransport(self)

    def client(self, url: str, timeout_seconds: float) -> httpx.Client:
        """Make a client for the server at `url`, to be used in a thread."""
        transport = httpx.HTTPTransport(verify=self.tls, trust_env=False, proxy=self.proxy_for(url))
        return httpx.Client(timeout=timeout_seconds, trust_env=False, transport=transport)


class _RoutedTransport(httpx.AsyncBaseTransport):
    """Finds the way anew for each request: an issuer's endpoints may be on several hosts."""

    def __init__(self, route: IssuerRoute) -> None:
        self._route = route
        self._used: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on its way."""
        transport = httpx.AsyncHTTPTransport(
            verify=self._route.tls, trust_env=False, proxy=self._route.proxy_for(str(request.url))
        )
        self._used.append(transport)
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._used:
            await transport.aclose()
