"""May this request pass at all, whatever its org: its method, its Host, and no web page as its author."""

from __future__ import annotations

from typing import Final

from services.data_plane.core.refused import Refused, bad_request
from services.data_plane.core.request_head import RequestHead
from shared.rejections import Rejection

_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE", b"TRACK"})


def check_admission(head: RequestHead, authorities: frozenset[bytes], max_body_bytes: int) -> None:
    """Raise `Refused` unless the request may be served under one of the `authorities` (lower case)."""
    if head.method in _REFUSED_METHODS:
        raise Refused(Rejection.METHOD_NOT_ALLOWED, "CONNECT and TRACE are never forwarded")
    if not head.target.startswith(b"/") and head.target != b"*":
        raise bad_request("the request target is not a path")
    if head.host is not None and head.host not in authorities and head.host.lower() not in authorities:
        # DNS rebinding gives a page this address under its own name.
        raise Refused(Rejection.BROWSER_REQUEST_REFUSED, "the Host is not the gateway's")
    if not head.has_credential and (head.origin is not None or head.fetch_site is not None):
        _check_page(head, authorities)
    check_length(head.content_length or 0, max_body_bytes)


def check_length(content_length: int, max_body_bytes: int) -> None:
    """Raise `Refused` for a body announced as too large."""
    if content_length > max_body_bytes:
        raise Refused(Rejection.BODY_TOO_LARGE, f"more than {max_body_bytes} bytes")


def _check_page(head: RequestHead, authorities: frozenset[bytes]) -> None:
    """Refuse a page's blind requests: pages cannot add a credential header without a preflight.

    WebSocket handshakes are judged too: no browser preflights them, and their answers can be read.
    """
    if head.fetch_site == b"cross-site":
        raise Refused(Rejection.BROWSER_REQUEST_REFUSED, "Sec-Fetch-Site is cross-site")
    if head.origin is not None:
        scheme, mark, authority = head.origin.lower().partition(b"://")
        if not mark or scheme not in {b"http", b"ws"} or authority not in authorities:
            raise Refused(Rejection.BROWSER_REQUEST_REFUSED, "the Origin is not the gateway's")
