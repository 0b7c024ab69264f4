"""Prepare a provider's answer for the box: its head, or what the box gets instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.data_plane.core.framing import ChunkedFraming
from services.data_plane.core.refused import Refused
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.request_head import RequestHead
    from services.data_plane.core.response_head import ResponseHead

UNAUTHORIZED: Final = 401
SWITCHING: Final = 101
FIRST_ERROR: Final = 400


def check_response(
    head: ResponseHead, raw: bytes, integration: CompiledIntegration, request: RequestHead
) -> None:
    """Raise `Refused` for an answer that must not reach the box as it is."""
    if head.status == UNAUTHORIZED:
        # The provider's own body shows parts of the key.
        raise Refused(Rejection.UPSTREAM_KEY_REJECTED)
    if integration.key_bytes in raw:
        raise Refused(Rejection.UPSTREAM_INVALID, "its headers repeat the organization's key")
    if head.status == SWITCHING and not request.websocket:
        raise Refused(Rejection.UPSTREAM_INVALID, "it switched protocols unasked")
    if request.websocket and head.status != SWITCHING:
        raise Refused(Rejection.UPSTREAM_UPGRADE_REFUSED, f"status {head.status}")
    if not request.minor and isinstance(head.framing, ChunkedFraming):
        raise Refused(Rejection.UPSTREAM_INVALID, "it answered an HTTP/1.0 request in chunks")
    if head.redirect and local_location(head.location or b"", integration) is None:
        raise Refused(Rejection.UPSTREAM_REDIRECT)


def prepare_response(head: ResponseHead, integration: CompiledIntegration, *, close: bool) -> bytes:
    """Write the head for the box. `close`: the gateway ends the box's connection after this answer."""
    lines = head.kept
    if head.location is not None:
        local = local_location(head.location, integration)
        lines = [*lines, b"Location: " + (head.location if local is None else local)]
    if head.status == SWITCHING:
        lines = [*lines, b"Connection: Upgrade", b"Upgrade: websocket"]
    elif close:
        lines = [*lines, b"Connection: close"]
    status_line = b"HTTP/1.1 %d%b\r\n" % (head.status, head.reason or b" ")
    return status_line + (b"\r\n".join(lines) + b"\r\n\r\n" if lines else b"\r\n")


def local_location(location: bytes, integration: CompiledIntegration) -> bytes | None:
    """Give the gateway's path for a `Location` at the endpoint's own origin; None for any other place.

    A reference without an authority is relative to the request and so at the same origin (RFC 3986 §4.2).
    """
    origin = integration.endpoint.origin.encode()
    if location.lower().startswith((origin + b"/", origin + b"?")) or location.lower() == origin:
        path = location[len(origin) :]
    elif location.startswith(b"/") and not location.startswith((b"//", b"/\\")):
        path = location
    elif b":" not in location.partition(b"/")[0] and not location.startswith((b"/", b"\\")):
        return location
    else:
        return None
    base = integration.base_path
    if path != base and not path.startswith((base + b"/", base + b"?")):
        return None
    return b"/run9/ai/" + integration.provider.name.encode() + b"/v1" + path[len(base) :]
