"""Prepare a provider's answer for the box: its head, or the gateway's answer in its place."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from services.data_plane.core.framing import ChunkedFraming
from services.data_plane.core.refused import Refused
from services.data_plane.core.response_head import MAX_REQUEST_ID_BYTES
from shared.providers import LOCAL_ORIGIN
from shared.rejections import Rejection

if TYPE_CHECKING:
    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.request_head import RequestHead
    from services.data_plane.core.response_head import ResponseHead
    from shared.endpoint import Endpoint
    from shared.providers import Provider

SWITCHING: Final = 101
FIRST_SUCCESS: Final = 200
FIRST_REDIRECT: Final = 300
FIRST_ERROR: Final = 400
MAX_REMEMBERED_ORIGINS: Final = 1024

# A dot segment in any spelling that a client undoes (WHATWG URL §4.1), and the bytes that clients drop or
# turn into slashes before they look.
_NOT_PLAIN: Final = re.compile(rb"[\x00-\x20\x7f\\]|(?:\A|/)(?:\.|%2e){1,2}(?=[/?#;]|\Z)", re.IGNORECASE)
_ENDS: Final = frozenset({b"", b"/", b"?", b"#"})
"""What may follow a whole segment."""


def tells_key(head: ResponseHead, raw: bytes, integration: CompiledIntegration) -> bool:
    """Whether a head holds the org's key; to be asked before anything of the head is kept or logged.

    Every head is searched for the key itself. The other spellings of the key are searched for in the likely
    places of an echo (interim heads, redirects, errors, a `Location`) and in a request id of sufficient
    length; an ordinary response is spared this search.
    """
    if raw.find(integration.key_bytes) >= 0:
        return True
    if (
        FIRST_SUCCESS <= head.status < FIRST_REDIRECT
        and head.location is None
        and not head.addresses
        and len(head.request_id) < min(len(integration.key_bytes), MAX_REQUEST_ID_BYTES)
    ):
        return False
    return integration.key_search.finds(raw)


def is_held(head: ResponseHead, request: RequestHead, provider: Provider) -> bool:
    """Whether a response is judged whole (`held_response.py`) instead of being passed at once."""
    if head.status >= FIRST_ERROR and head.status in provider.key_statuses:
        return True
    return request.websocket and head.status != SWITCHING


def check_response(
    head: ResponseHead, integration: CompiledIntegration, request: RequestHead, *, key_told: bool
) -> None:
    """Raise `Refused` for a response unfit for the box. `key_told`: see `tells_key`."""
    if key_told:
        raise Refused(Rejection.UPSTREAM_INVALID, "its headers repeat the organization's key")
    if head.status == SWITCHING:
        _check_switch(head, request)
    if not request.minor and isinstance(head.framing, ChunkedFraming):
        raise Refused(Rejection.UPSTREAM_INVALID, "it answered an HTTP/1.0 request in chunks")
    if head.location is not None and head.redirect and local_location(head.location, integration) is None:
        raise Refused(Rejection.UPSTREAM_REDIRECT)
    for name, address in head.addresses:
        if _is_rewritten(name, integration) and local_address(address, integration, b"") is None:
            raise Refused(Rejection.UPSTREAM_REDIRECT)


def _check_switch(head: ResponseHead, request: RequestHead) -> None:
    """RFC 6455 §4.1: the answer may only choose among the requested protocols."""
    if not request.websocket:
        raise Refused(Rejection.UPSTREAM_INVALID, "it switched protocols unasked")
    if [upgrade.lower() for upgrade in head.upgrades] != [b"websocket"]:
        raise Refused(Rejection.UPSTREAM_INVALID, "it switched to another protocol than WebSocket")
    if head.ws_protocols:
        offered = request.ws_protocols.split(b", ") if request.ws_protocols else []
        if len(head.ws_protocols) > 1 or head.ws_protocols[0] not in offered:
            raise Refused(Rejection.UPSTREAM_INVALID, "it chose a WebSocket protocol that was not offered")


def prepare_response(
    head: ResponseHead, integration: CompiledIntegration, host: bytes | None = None, *, close: bool
) -> bytes:
    """Write the head for the box.

    Args:
        head: of the provider's response.
        integration: that the request used.
        host: the authority under which the box called; None where an HTTP/1.0 request named none.
        close: the gateway ends the box's connection after this answer.
    """
    lines = head.kept
    if head.addresses:
        lines = [*lines, *_address_lines(head, integration, host)]
    if head.location is not None:
        local = local_location(head.location, integration)
        lines = [*lines, b"Location: " + (head.location if local is None else local)]
    if head.status == SWITCHING:
        lines = [*lines, b"Connection: Upgrade", b"Upgrade: websocket"]
    elif close:
        lines = [*lines, b"Connection: close"]
    if not lines:
        return b"HTTP/1.1 %d%b\r\n\r\n" % (head.status, head.reason or b" ")
    return b"HTTP/1.1 %d%b\r\n%b\r\n\r\n" % (head.status, head.reason or b" ", b"\r\n".join(lines))


def _address_lines(head: ResponseHead, integration: CompiledIntegration, host: bytes | None) -> list[bytes]:
    """Write the headers that hold an address: a row's own are rewritten, or left out if they cannot be."""
    lines = []
    for name, address in head.addresses:
        local: bytes | None = address
        if _is_rewritten(name, integration):
            local = local_address(address, integration, host)
        if local is not None:
            lines.append(name + b": " + local)
    return lines


def _is_rewritten(name: bytes, integration: CompiledIntegration) -> bool:
    return name.decode("latin-1") in integration.provider.address_headers


def local_address(address: bytes, integration: CompiledIntegration, host: bytes | None) -> bytes | None:
    """Give the gateway's own URL for an address at the endpoint's origin; None for any other place.

    The URL is absolute, because clients resolve no reference in such a header.
    """
    local = local_location(address, integration)
    if local is None or not local.startswith(b"/"):
        return None
    return (LOCAL_ORIGIN.encode() if host is None else b"http://" + host) + local


def local_location(location: bytes, integration: CompiledIntegration) -> bytes | None:
    """Give the gateway's path for a `Location` at the endpoint's own origin; None for any other place.

    A reference without an authority is relative to the request and so at the same origin (RFC 3986 §4.2). A
    reference with dot segments could lead to the gateway's other paths, and a client would follow.
    """
    if _NOT_PLAIN.search(location.partition(b"?")[0]):
        return None
    at_origin = _origin_pattern(integration.endpoint).match(location)
    if at_origin:
        path = location[at_origin.end() :]
    elif location.startswith(b"/") and not location.startswith((b"//", b"/\\")):
        path = location
    elif b":" not in location.partition(b"/")[0] and not location.startswith((b"/", b"\\")):
        return location
    else:
        return None
    base = integration.base_path
    if path != base and not path.startswith((base + b"/", base + b"?")):
        return None
    rest = path[len(base) :]
    return b"/run9/ai/" + integration.provider.name.encode() + _local_version(integration, rest) + rest


def _local_version(integration: CompiledIntegration, rest: bytes) -> bytes:
    """Give the segments that the gateway strips again, so that a version of the endpoint's own survives."""
    stripped = integration.provider.stripped_version.encode()
    if not stripped:
        return b""
    segment = b"/" + stripped
    return segment * 2 if rest[: len(segment)] == segment and rest[len(segment) :][:1] in _ENDS else segment


@lru_cache(MAX_REMEMBERED_ORIGINS)
def _origin_pattern(endpoint: Endpoint) -> re.Pattern[bytes]:
    """The beginning of an absolute URL at the endpoint's origin; the port may be left to the scheme."""
    host, port = endpoint.authority, ""
    if not host.endswith(f":{endpoint.port}"):
        port = f"(?::{endpoint.port})?"
    pattern = re.escape(f"{endpoint.scheme}://{host}") + port + r"(?=[/?]|\Z)"
    return re.compile(pattern.encode(), re.IGNORECASE)
