"""Both ends of TLS for a provider on this machine, with an authority made for a single test."""

from __future__ import annotations

import ssl

import trustme


def loopback_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give the provider's context, and a client's context with trust in the provider."""
    authority = trustme.CA()
    serving, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting
