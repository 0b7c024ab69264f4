"""Prepare a request for the provider: strip first, inject last. Gives the exact bytes to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.data_plane.core.route import forwarded_target

if TYPE_CHECKING:
    from services.data_plane.core.integration import CompiledIntegration
    from services.data_plane.core.request_head import RequestHead
    from services.data_plane.core.route import Route

# Of requests that may be sent twice (RFC 9110 §9.2.2, §9.3).
_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})


def prepare_head(head: RequestHead, route: Route, query: bytes, integration: CompiledIntegration) -> bytes:
    """Write the head to send: the kept lines unchanged, `Host` and exactly one credential.

    An HTTP/1.0 request keeps its version, so the provider answers without chunks, and ends its connection.
    """
    target = forwarded_target(integration.base_path, route, query)
    lines = [head.kept] if head.kept else []
    if integration.beta_token:
        lines = _with_beta(head, integration.beta_token)
    if head.websocket:
        lines = [*lines, b"Connection: Upgrade", b"Upgrade: websocket"]
        if head.ws_protocols is not None:
            lines.append(b"Sec-WebSocket-Protocol: " + head.ws_protocols)
    version = b" HTTP/1.1\r\n" if head.minor else b" HTTP/1.0\r\nConnection: close\r\n"
    kept = b"\r\n".join(lines) + b"\r\n" if lines else b""
    return b"".join(
        (
            head.method,
            b" ",
            target,
            version,
            integration.host_line,
            kept,
            integration.credential_lines,
            b"\r\n",
        )
    )


def is_repeatable(head: RequestHead, length: bytes) -> bool:
    """Whether a request may be sent again when a pooled connection turns out dead.

    Args:
        head: of the request.
        length: the value of its `Content-Length`, or empty.
    """
    return head.method in _REPEATABLE and not head.chunked and not int(length or b"0")


def _with_beta(head: RequestHead, token: bytes) -> list[bytes]:
    """Put a token into the `anthropic-beta` list, once, next to the client's own entries."""
    lines = head.kept.split(b"\r\n") if head.kept else []
    if head.beta is None:
        return [*lines, b"anthropic-beta: " + token]
    present = {item.strip() for value in head.beta for item in value.split(b",")}
    if token not in present:
        for index, line in enumerate(lines):
            if line.partition(b":")[0].lower() == b"anthropic-beta":
                lines[index] = line.rstrip(b" \t") + b"," + token
                break
    return lines
