"""An issuer's answer has an end, in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from services.control_plane.sign_in.bounded_transport import AnswerTooLarge, BoundedTransport


class Trickling(httpx.AsyncByteStream):
    """A body that never ends, a byte at a time."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.001)
            yield b" "

    async def aclose(self) -> None:
        self.closed = True


def client(stream: Trickling, **limits: float) -> httpx.AsyncClient:
    inner = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    bounded = BoundedTransport(
        inner,
        max_bytes=int(limits.get("max_bytes", 1_000_000)),
        answer_seconds=limits.get("answer_seconds", 60),
    )
    return httpx.AsyncClient(transport=bounded, base_url="https://login.test")


async def test_an_answer_that_trickles_for_ever_is_given_up_and_closed() -> None:
    stream = Trickling()
    async with client(stream, answer_seconds=0.05) as http, asyncio.timeout(20):
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/")
    assert stream.closed


async def test_an_answer_that_is_too_large_is_given_up_and_closed() -> None:
    stream = Trickling()
    async with client(stream, max_bytes=10) as http, asyncio.timeout(20):
        with pytest.raises(AnswerTooLarge):
            await http.get("/")
    assert stream.closed
