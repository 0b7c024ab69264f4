"""The single response of a key test: its end, and no more bytes read than needed."""

from __future__ import annotations

import asyncio

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.key_test.models_response import (
    LOST,
    MAX_BODY_BYTES,
    TOO_LARGE,
    Broken,
    ModelsResponse,
)
from services.data_plane.relay.upstream.connection import (
    MAX_INTERIM_HEADS,
    ConnectionKeeper,
    UpstreamConnection,
)
from services.data_plane.relay.wire.write_batch import WriteBatch

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


class HeldTransport(asyncio.Transport):
    """Keeps the written bytes, and whether the connection was left."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


REQUEST = b"GET / HTTP/1.1\r\n\r\n"


def asked(limits: RelayLimits | None = None) -> tuple[ModelsResponse, UpstreamConnection, HeldTransport]:
    batch = WriteBatch()
    connection = UpstreamConnection(
        ConnectionKeeper(), ("o", "e"), limits or RelayLimits(), batch, 9.0, TemplateStore().endpoint("e")
    )
    transport = HeldTransport()
    connection.connection_made(transport)
    response = ModelsResponse(connection)
    response.ask(REQUEST)
    batch.flush()
    return response, connection, transport


async def test_a_whole_response_is_taken_and_the_connection_left() -> None:
    response, connection, transport = asked()
    connection.data_received(HEAD % 4 + b"bo")
    assert not response.body.done()
    connection.data_received(b"dy")
    assert (response.status.result(), response.body.result()) == (200, b"body")
    assert (transport.written, transport.aborted) == (REQUEST, True)


async def test_a_body_in_chunks_is_taken_without_their_frames() -> None:
    response, connection, _ = asked()
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r")
    connection.data_received(b"\nd")
    connection.data_received(b"y\r\n0\r\n\r\n")
    assert response.body.result() == b"body"


async def test_what_comes_after_the_answer_ends_the_connection() -> None:
    response, connection, transport = asked()
    connection.data_received(HEAD % 4 + b"bodyHTTP/1.1 200 OK\r\n\r\n")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    assert (response.body.result(), transport.aborted) == (b"body", True)


async def test_a_body_is_read_up_to_its_limit_and_left() -> None:
    response, connection, transport = asked()
    connection.data_received(HEAD % (2 * MAX_BODY_BYTES))
    connection.data_received(b"x" * MAX_BODY_BYTES)
    assert not response.body.done()
    connection.data_received(b"x")
    assert (response.body.result(), transport.aborted) == (TOO_LARGE, True)


@pytest.mark.parametrize("status", [401, 403])
async def test_the_body_of_a_refusal_is_read_because_it_tells_what_was_refused(status: int) -> None:
    response, connection, _ = asked()
    connection.data_received(b"HTTP/1.1 %d No\r\ncontent-length: 11\r\n\r\nyour key is" % status)
    assert (response.status.result(), response.body.result()) == (status, b"your key is")


async def test_the_body_of_another_error_is_not_read() -> None:
    response, connection, transport = asked()
    connection.data_received(b"HTTP/1.1 500 No\r\ncontent-length: 999999\r\n\r\nyour key is")
    assert response.body.result() == b""
    connection.data_received(b" sk-0123")
    assert transport.aborted


async def test_interim_heads_end_by_number() -> None:
    response, connection, transport = asked()
    connection.data_received(INTERIM * MAX_INTERIM_HEADS)
    assert (response.status.done(), transport.aborted) == (False, False)
    connection.data_received(INTERIM)
    assert isinstance(response.status.result(), Broken)
    assert transport.aborted


async def test_a_head_is_bounded_in_bytes_and_lines() -> None:
    for limits in (RelayLimits(max_head_bytes=200), RelayLimits(max_head_fields=3)):
        response, connection, transport = asked(limits)
        connection.data_received(b"HTTP/1.1 200 OK\r\n" + b"x-line: something\r\n" * 20 + b"\r\n")
        assert isinstance(response.status.result(), Broken)
        assert transport.aborted


async def test_a_lost_connection_is_the_end_only_where_nothing_else_tells_it() -> None:
    response, connection, _ = asked()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nall")
    connection.connection_lost(None)
    assert response.body.result() == b"all"
    for begun in (b"", HEAD % 4, HEAD % 4 + b"bod"):
        response, connection, _ = asked()
        connection.data_received(begun)
        connection.connection_lost(None)
        assert response.body.result() == LOST
    response, connection, _ = asked()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nnot all")
    connection.connection_lost(ConnectionResetError())
    assert response.body.result() == LOST
