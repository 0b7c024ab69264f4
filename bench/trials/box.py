"""The box of the trials: one connection, one request, one answer, with plain sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Final

from bench.measure import WrongAnswerError
from bench.subjects.subject import Running
from bench.trials.bulk import PIECE_BYTES, bulk
from bench.workload import request_head

_STALL_SECONDS: Final = 20.0


def connect(running: Running) -> socket.socket:
    """Open a connection to the subject."""
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=_STALL_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send_head(connection: socket.socket, running: Running, path: str, body_bytes: int) -> None:
    """Send the head of a request for `path` below the endpoint."""
    authority = f"127.0.0.1:{running.port}"
    connection.sendall(
        request_head(f"{running.prefix}{path}", key=running.key, authority=authority, body_bytes=body_bytes)
    )


def send_bulk(connection: socket.socket, length: int) -> None:
    """Send a body, or its beginning."""
    for at in range(0, length, PIECE_BYTES):
        connection.sendall(bulk(at, min(PIECE_BYTES, length - at)))


def answer_on(connection: socket.socket) -> HTTPResponse:
    """Read the head of the answer; raises `WrongAnswerError` when the answer is no success."""
    answer = HTTPResponse(connection)
    answer.begin()
    if answer.status != 200:
        raise WrongAnswerError(f"answered {answer.status}: {answer.read(200)!r}")
    return answer


@contextmanager
def failures_as_wrong_answers(what: str) -> Iterator[None]:
    """Let a cut or stalled connection count as a wrong answer to `what`."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise WrongAnswerError(f"{what}: {type(error).__name__} {error}") from error
