"""How two other parsers read the same bytes: llhttp (by httptools) and h11.

Each parser gives a message as a `Reading`, or None as a refusal. The two and the gateway's core must never
read accepted bytes differently; the differential tests and the fuzz harness compare these readings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import h11
import httptools

NOT_COMPLETE: Final = -1
_HEAD_END: Final = b"\r\n\r\n"
_MAX_HEAD_BYTES: Final = 80 * 1024

LLHTTP_METHODS: Final = (
    *(b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"QUERY"),
    *(b"PROPFIND", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"SEARCH", b"REPORT", b"MERGE", b"PURGE"),
)
"""Methods known to llhttp, without CONNECT; its refusal of any other is no disagreement about bytes."""


@dataclass(slots=True)
class Reading:
    """A message as read by a parser.

    Attributes:
        start: (method, target) or (status, reason).
        headers: (name, value), with the name as received and the value without surrounding space.
        payload: the body without its framing.
        end: index after the message's last byte; `NOT_COMPLETE` while the parser waits for more.
        keep_alive: whether another message may follow; None where the parser does not say.
        upgrade: whether the parser sees a change of protocol.
    """

    start: tuple[bytes, bytes]
    minor: int
    headers: list[tuple[bytes, bytes]]
    payload: bytes = b""
    end: int = NOT_COMPLETE
    keep_alive: bool | None = None
    upgrade: bool = False


@dataclass(slots=True)
class _Listener:
    """Collects llhttp's callbacks for the first message."""

    target: bytes = b""
    reason: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    payload: bytes = b""
    head_done: bool = False
    done: bool = False
    keep_alive: bool = True
    parser: Any = None

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_status(self, status: bytes) -> None:
        self.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done:
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_body(self, body: bytes) -> None:
        if not self.done:
            self.payload += body

    def on_message_complete(self) -> None:
        self.done = True
        self.keep_alive = self.parser.should_keep_alive()


def read_with_llhttp(data: bytes, role: Literal["request", "response"] = "request") -> Reading | None:
    """Read the first message of `data` with llhttp in its default, strict mode."""
    listener = _Listener()
    parser: Any = (httptools.HttpRequestParser if role == "request" else httptools.HttpResponseParser)(
        listener
    )
    listener.parser = parser
    end = NOT_COMPLETE
    # The head at once, then byte by byte: llhttp tells that a message ended, but not where.
    head = data.find(_HEAD_END) + len(_HEAD_END)
    if head < len(_HEAD_END):
        head = len(data)
    pieces = [data[:head], *(data[i : i + 1] for i in range(head, len(data)))]
    upgrade = False
    for at, piece in enumerate(pieces):
        try:
            parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            upgrade = True
        except httptools.HttpParserError:
            return None
        if listener.done:
            end = len(pieces[0]) + at
            break
    if not listener.head_done:
        return None
    start = (
        (parser.get_method(), listener.target)
        if role == "request"
        else (b"%d" % parser.get_status_code(), listener.reason)
    )
    return Reading(
        start=start,
        minor=int(parser.get_http_version()[-1]),
        headers=listener.headers,
        payload=listener.payload,
        end=end,
        keep_alive=listener.keep_alive if listener.done else None,
        upgrade=upgrade,
    )


def read_with_h11(
    data: bytes, role: Literal["request", "response"] = "request", *, request_method: bytes = b"GET"
) -> Reading | None:
    """Read the first message of `data` with h11; an answer as the answer to `request_method`."""
    connection = h11.Connection(
        h11.SERVER if role == "request" else h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES
    )
    if role == "response":
        connection.send(h11.Request(method=request_method, target=b"/", headers=[(b"Host", b"h")]))
        connection.send(h11.EndOfMessage())
    reading: Reading | None = None
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                reading = Reading((event.method, event.target), int(event.http_version[-1:]), _raw(event))
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                start = (b"%d" % event.status_code, event.reason)
                reading = Reading(start, int(event.http_version[-1:]), _raw(event))
            elif isinstance(event, h11.Data):
                assert reading is not None
                reading.payload += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert reading is not None
                reading.end = len(data) - len(connection.trailing_data[0])
                reading.keep_alive = connection.their_state is not h11.MUST_CLOSE
                reading.upgrade = str(connection.their_state) == "MIGHT_SWITCH_PROTOCOL"
                return reading
            else:
                return reading
    except h11.RemoteProtocolError:
        return None


def _raw(event: h11.Request | h11.Response | h11.InformationalResponse) -> list[tuple[bytes, bytes]]:
    return list(event.headers.raw_items())
