"""An HTTP client of the control plane's internal listener, for the snapshots and for the reports.

No environment proxies, redirects or cookies: each request carries the internal token.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from shared.secret import Secret


def fleet_client(
    base_url: str, token: Secret, *, timeout: httpx.Timeout, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """Make a client for the listener at `base_url`; the caller closes the client."""
    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token.reveal()}"} if token else {},
        timeout=timeout,
        verify=authorities(base_url),
        transport=transport,
        trust_env=False,
        follow_redirects=False,
    )


def authorities(base_url: str) -> ssl.SSLContext:
    """Give the authorities for `base_url`: for plain http none at all, since a loaded list takes 0.7 MiB."""
    if httpx.URL(base_url).scheme == "https":
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
