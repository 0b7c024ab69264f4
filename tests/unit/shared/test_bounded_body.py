"""A request's body is read up to its bound, and not a byte more is kept."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from shared.bounded_body import read_body

BOUND = 10


def request(*pieces: bytes) -> Request:
    left = list(pieces)

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@pytest.mark.parametrize("pieces", [(b"",), (b"0123456789",), (b"01234", b"56789")])
async def test_a_body_within_its_bound_is_given_whole(pieces: tuple[bytes, ...]) -> None:
    assert await read_body(request(*pieces), BOUND) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [(b"0123456789a",), (b"01234", b"567890"), (b"x" * 11, b"unread")])
async def test_a_body_above_its_bound_is_not_given(pieces: tuple[bytes, ...]) -> None:
    assert await read_body(request(*pieces), BOUND) is None
