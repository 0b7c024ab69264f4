"""Reading from a lost connection gives the bytes waiting there, and no other connection's bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.data_plane.relay.upstream.unread import MAX_UNREAD_BYTES, read_unread


@dataclass
class _Numbered:
    """Stands for a socket, of which nothing but the number is asked."""

    number: int

    def fileno(self) -> int:
        return self.number


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def _transport(number: int) -> asyncio.BaseTransport:
    return asyncio.BaseTransport({"socket": _Numbered(number)})


def test_what_waits_is_read_and_nothing_is_waited_for(ends: tuple[int, int]) -> None:
    reading, writing = ends
    os.write(writing, b"an answer")
    assert read_unread(_transport(reading)) == b"an answer"
    assert read_unread(_transport(reading)) == b""


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    long = tmp_path / "long"
    long.write_bytes(b"x" * (MAX_UNREAD_BYTES + 1))
    with long.open("rb") as file:
        assert len(read_unread(_transport(file.fileno()))) == MAX_UNREAD_BYTES


def test_nothing_is_read_where_there_is_no_socket_or_it_is_closed() -> None:
    assert read_unread(asyncio.BaseTransport()) == b""
    assert read_unread(_transport(-1)) == b""
