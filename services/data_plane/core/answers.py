"""How the gateway's own answers are written: in the error shape shown to people by the provider's clients.

The only place for turning a `Rejection` into bytes on the box side.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from shared.providers import UNNAMED, ErrorFacts, Provider
from shared.rejections import Place, Rejection

if TYPE_CHECKING:
    from services.data_plane.core.refused import Refused


def write_rejection(
    refused: Refused,
    provider: Provider | None,
    place: Place | None = None,
    request_id: str = "",
    *,
    bodiless: bool,
    close: bool,
) -> bytes:
    """Write the whole answer.

    Args:
        refused: the refusal.
        provider: whose error shape and title to use; OpenAI's shape when the request named none.
        request_id: the gateway's own id for this answer.
        bodiless: the request was a HEAD: the head alone is sent (RFC 9110 §9.3.2).
        close: whether the connection ends after the answer.
        place: the endpoint involved and the Portal's address, for use in the sentence.
    """
    rejection = refused.rejection
    message = rejection.render(provider.title if provider else "The provider", refused.detail, place)
    row = provider or UNNAMED
    facts = ErrorFacts(rejection.status, rejection.code, message, request_id)
    body = json.dumps(row.error_body(facts)).encode()
    lines = [
        f"HTTP/1.1 {rejection.status} {HTTPStatus(rejection.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-run9-error: {rejection.code}",
        f"x-run9-error-source: {rejection.source}",
        f"{row.request_id_header}: {request_id}",
    ]
    if not rejection.retry_helps:
        lines.append("x-should-retry: false")
    if refused.retry_after_seconds is not None:
        lines.append(f"retry-after: {refused.retry_after_seconds}")
    if rejection is Rejection.UPSTREAM_UPGRADE_REFUSED:
        lines.append("upgrade: HTTP/1.1")  # RFC 9110 §15.5.22 asks a 426 to name what it wants instead
        lines.append("connection: upgrade, close" if close else "connection: upgrade")
    elif close:
        lines.append("connection: close")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return head if bodiless else head + body


def write_warm_up(*, close: bool) -> bytes:
    """Answer a client's `HEAD` on a base URL: yes, somebody is here. The request is never sent on."""
    return (
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + (b"connection: close\r\n" if close else b"") + b"\r\n"
    )
