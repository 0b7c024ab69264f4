"""Reads a request's body in an ASGI application, never more than a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Read the body; None when the body is larger than `max_bytes`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            return None
    return bytes(body)
