"""A limit on what an issuer's answers may hold, beneath whoever reads them."""

from __future__ import annotations

from typing import Final

import httpx

MAX_ANSWER_BYTES: Final = 256 * 1024
"""Of a configuration, a token answer or user info; each has a few kilobytes."""
_OF_THE_WIRE: Final = {"content-encoding", "content-length", "transfer-encoding"}


class AnswerTooLarge(httpx.TransportError):
    """The answer was given up at `MAX_ANSWER_BYTES`."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads every answer whole, unpacked, and gives up at `max_bytes`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Give the answer; raises `AnswerTooLarge`."""
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
        """Close what is beneath."""
        await self._inner.aclose()
