"""The one connection of a trial: what ends it, and that it reads no more than it must."""

from __future__ import annotations

import asyncio

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.response_head import ResponseHead
from services.data_plane.relay.upstream_connection import MAX_INTERIM_HEADS
from services.data_plane.trial.models_connection import (
    LOST,
    MAX_BODY_BYTES,
    TOO_LARGE,
    Broken,
    ModelsConnection,
)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


class HeldTransport(asyncio.Transport):
    """Keeps what is written, and whether the connection was left."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True


def connected(limits: RelayLimits | None = None) -> tuple[ModelsConnection, HeldTransport]:
    connection, transport = ModelsConnection(limits or RelayLimits()), HeldTransport()
    connection.connection_made(transport)
    return connection, transport


async def test_a_whole_answer_is_taken_and_its_end_ends_nothing_by_itself() -> None:
    connection, transport = connected()
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    connection.data_received(HEAD % 4 + b"bo")
    connection.data_received(b"dy")
    head, body = connection.head.result(), connection.body.result()
    assert isinstance(head, ResponseHead)
    assert (head.status, body, transport.aborted) == (200, b"body", False)
    assert transport.written == b"GET / HTTP/1.1\r\n\r\n"


async def test_what_comes_after_the_answer_ends_the_connection() -> None:
    connection, transport = connected()
    connection.data_received(HEAD % 4 + b"body")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    assert (connection.body.result(), transport.aborted) == (b"body", True)


async def test_a_body_is_read_up_to_its_limit_and_left() -> None:
    connection, transport = connected()
    connection.data_received(HEAD % (2 * MAX_BODY_BYTES))
    connection.data_received(b"x" * MAX_BODY_BYTES)
    assert not connection.body.done()
    connection.data_received(b"x")
    assert (connection.body.result(), transport.aborted) == (TOO_LARGE, True)


@pytest.mark.parametrize("status", [401, 403])
async def test_the_body_of_a_refusal_is_read_because_it_tells_what_was_refused(status: int) -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 %d No\r\ncontent-length: 11\r\n\r\nyour key is" % status)
    assert connection.body.result() == b"your key is"


async def test_the_body_of_another_error_is_not_read() -> None:
    connection, transport = connected()
    connection.data_received(b"HTTP/1.1 500 No\r\ncontent-length: 999999\r\n\r\nyour key is")
    assert connection.body.result() == b""
    connection.data_received(b" sk-0123")
    assert transport.aborted


async def test_interim_heads_end_by_number() -> None:
    connection, transport = connected()
    connection.data_received(INTERIM * MAX_INTERIM_HEADS)
    assert (connection.head.done(), transport.aborted) == (False, False)
    connection.data_received(INTERIM)
    assert isinstance(connection.head.result(), Broken)
    assert transport.aborted


async def test_a_head_is_bounded_in_bytes_and_lines() -> None:
    for limits in (RelayLimits(max_head_bytes=200), RelayLimits(max_head_fields=3)):
        connection, transport = connected(limits)
        connection.data_received(b"HTTP/1.1 200 OK\r\n" + b"x-line: something\r\n" * 20 + b"\r\n")
        assert isinstance(connection.head.result(), Broken)
        assert transport.aborted


async def test_a_lost_connection_is_the_end_only_where_nothing_else_tells_it() -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nall")
    connection.connection_lost(None)
    assert connection.body.result() == b"all"
    for begun in (b"", HEAD % 4, HEAD % 4 + b"bod"):
        connection, _ = connected()
        connection.data_received(begun)
        connection.connection_lost(None)
        assert connection.body.result() == LOST
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nnot all")
    connection.connection_lost(ConnectionResetError())
    assert connection.body.result() == LOST
