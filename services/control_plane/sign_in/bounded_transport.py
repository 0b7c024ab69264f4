"""Limits on the size and duration of an issuer's answers, beneath the readers of the answers."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

MAX_ANSWER_BYTES: Final = 256 * 1024
"""Of a configuration, a token answer or user info; each has a few kilobytes."""
ANSWER_SECONDS: Final = 10.0
"""For a whole answer: httpx's own time-outs are for each piece, and a trickling answer has many pieces."""
_OF_THE_WIRE: Final = {"content-encoding", "content-length", "transfer-encoding"}


class AnswerTooLarge(httpx.TransportError):
    """The answer was given up at `MAX_ANSWER_BYTES`."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads every answer whole, unpacked, and gives up at `max_bytes` or after `answer_seconds`."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        max_bytes: int = MAX_ANSWER_BYTES,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._answer_seconds = answer_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Give the answer; raises `AnswerTooLarge`, or `httpx.ReadTimeout` for a slow answer."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._read(request)
        except TimeoutError:
            raise httpx.ReadTimeout("the answer took too long", request=request) from None

    async def _read(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        body = bytearray()
        try:
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > self._max_bytes:
                    raise AnswerTooLarge(f"an answer has more than {self._max_bytes} bytes", request=request)
        finally:
            await answer.aclose()
        kept = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_WIRE]
        return httpx.Response(answer.status_code, headers=kept, content=bytes(body))

    async def aclose(self) -> None:
        """Close the transport beneath."""
        await self._inner.aclose()
