"""The provider of the trials: sends or takes large bodies, and notes when its caller has gone.

    POST /v1/down/<bytes>              a body of so many bytes, as fast as the caller takes
    POST /v1/up                        takes the body at the provider's pace, tells how many bytes were right
    POST /v1/waiting/<attempt>         no answer, ever
    POST /v1/streaming/<attempt>       an event every 20 ms, for ever
    POST /v1/uploading/<attempt>       takes the body, of which the rest never comes

One thread per connection, in this process; not fast, but none of its figures is CPU.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Final, Literal

from bench.serving import serving
from bench.trials.bulk import PIECE_BYTES, Pace, SlowTaker, bulk
from bench.workload import UPSTREAM_KEY, UPSTREAM_PREFIX, event_template

EVENT_MILLISECONDS: Final = 20
BEGUN_UPLOAD_BYTES: Final = 256 * 1024
"""After so much of its body an upload counts as under way."""


@dataclass(frozen=True, slots=True)
class Note:
    """The provider's sight of an attempt, and the time by the monotonic clock."""

    attempt: int
    what: Literal["began", "gone"]
    at: float


@dataclass(frozen=True, slots=True)
class Provider:
    """The running provider: its port on loopback, and its notes."""

    port: int
    notes: SimpleQueue[Note]


@contextmanager
def running_provider(pace: Pace | None = None) -> Iterator[Provider]:
    """Serve for as long as the context lasts; `pace` is the pace of uploads."""
    server = _Server(pace or Pace())
    with serving(server):
        yield Provider(server.server_port, server.notes)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # one that nobody ever left would block it for ever
    request_queue_size = 128

    def __init__(self, pace: Pace) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pace = pace
        self.notes: SimpleQueue[Note] = SimpleQueue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answer by the path; a subject without the key is refused."""
        kind, _, number = self.path.removeprefix(f"{UPSTREAM_PREFIX}/").partition("/")
        if self.headers.get("Authorization") != f"Bearer {UPSTREAM_KEY}":
            kind = "refused"
        match kind:
            case "down":
                self.rfile.read(self._length)
                self._down(int(number))
            case "up":
                self._up()
            case "waiting" | "streaming":
                self.rfile.read(self._length)
                self._until_gone(int(number), streams=kind == "streaming")
            case "uploading":
                self._upload_until_gone(int(number))
            case _:
                self.close_connection = True
                self.send_error(HTTPStatus.BAD_REQUEST)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Print nothing per request."""

    @property
    def _length(self) -> int:
        return int(self.headers["Content-Length"])

    def _answer(self, content_type: str, framing: str, value: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header(framing, value)
        self.end_headers()

    def _down(self, length: int) -> None:
        self._answer("application/octet-stream", "Content-Length", str(length))
        for at in range(0, length, PIECE_BYTES):
            self.wfile.write(bulk(at, min(PIECE_BYTES, length - at)))

    def _up(self) -> None:
        taken = SlowTaker(self._read_into, self.server.pace).take(self._length)
        answer = str(taken).encode()
        self._answer("text/plain", "Content-Length", str(len(answer)))
        self.wfile.write(answer)

    def _read_into(self, room: memoryview) -> int:
        piece = self.rfile.read1(len(room))
        room[: len(piece)] = piece
        return len(piece)

    def _until_gone(self, attempt: int, *, streams: bool) -> None:
        event = event_template()
        chunk = b"%x\r\n%b\r\n" % (len(event), event)
        if streams:
            self._answer("text/event-stream", "Transfer-Encoding", "chunked")
        self._note(attempt, "began")
        poller = select.poll()
        poller.register(self.connection, select.POLLIN | select.POLLRDHUP)
        try:
            while not poller.poll(EVENT_MILLISECONDS):
                if streams:
                    self.wfile.write(chunk)
        except OSError:
            pass  # it has gone between two looks
        self._gone(attempt)

    def _upload_until_gone(self, attempt: int) -> None:
        taken = 0
        try:
            while piece := self.rfile.read1(PIECE_BYTES):
                begun = taken >= BEGUN_UPLOAD_BYTES
                taken += len(piece)
                if not begun and taken >= BEGUN_UPLOAD_BYTES:
                    self._note(attempt, "began")
        except OSError:
            pass  # a reset is as good an end as any
        self._gone(attempt)

    def _gone(self, attempt: int) -> None:
        self._note(attempt, "gone")
        self.close_connection = True

    def _note(self, attempt: int, what: Literal["began", "gone"]) -> None:
        self.server.notes.put(Note(attempt, what, time.monotonic()))
