"""What a provider sees of a client, without what a gateway is there to change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.support.scripted_upstream import CREDENTIAL_HEADERS, ReceivedRequest

_CHANGED: Final = {b"host", b"connection", *CREDENTIAL_HEADERS}
_BOUNDARY: Final = re.compile(rb"boundary=([^;\s]+)")

Seen = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def as_seen(requests: Sequence[ReceivedRequest]) -> list[Seen]:
    """Give method, target, remaining headers in order, and body of each request, in order of arrival."""
    return [_as_seen(request) for request in requests]


def _as_seen(request: ReceivedRequest) -> Seen:
    headers = [(name, value) for name, value in request.headers if name.lower() not in _CHANGED]
    seen = b"\n".join(value for _, value in headers) + b"\n" + request.raw_body
    body = request.raw_body
    # Every upload makes up a boundary of its own.
    if (boundary := _BOUNDARY.search(seen)) is not None:
        headers = [(name, value.replace(boundary[1], b"BOUNDARY")) for name, value in headers]
        body = body.replace(boundary[1], b"BOUNDARY")
    return request.method, request.target, headers, body
