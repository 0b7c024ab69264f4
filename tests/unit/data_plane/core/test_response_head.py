"""How an answer's head is cut: the bytes passed to the box, the end of the body, and the refusals."""

from __future__ import annotations

import pytest

from services.data_plane.core.framing import ChunkedFraming, LengthFraming, UntilCloseFraming
from services.data_plane.core.response_head import (
    BadResponse,
    ResponseHead,
    check_incomplete_response,
    parse_response_head,
)
from tests.corpus.replay import LIMITS


def cut(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"POST") -> ResponseHead:
    return parse_response_head(b"\r\n".join((start, *lines, b"", b"")), method, LIMITS.max_head_fields)


def test_lines_pass_byte_for_byte_and_those_of_the_connection_fall_out() -> None:
    passing = [b"X-Request-Id: req_1", b"retry-after:1", b"X-RateLimit-A:  2 ", b"x-a: 1", b"X-A: 1", b"X-E:"]
    head = cut(
        *passing[:3], b"Set-Cookie: a=b", b"Connection: x-gone", b"X-Gone: 1", b"Alt-Svc: h3", *passing[3:]
    )
    assert head.kept == passing
    assert head.request_id == "req_1"


@pytest.mark.parametrize(
    ("lines", "start", "method", "kind"),
    [
        ((b"Content-Length: 5",), b"HTTP/1.1 200 OK", b"GET", LengthFraming),
        ((b"Content-Length: 5", b"content-length: 5"), b"HTTP/1.1 200 OK", b"GET", LengthFraming),
        ((b"Content-Length: 0",), b"HTTP/1.1 200 OK", b"GET", None),
        ((b"Transfer-Encoding: chunked",), b"HTTP/1.1 200 OK", b"GET", ChunkedFraming),
        ((), b"HTTP/1.1 200 OK", b"GET", UntilCloseFraming),
        ((), b"HTTP/1.0 200 OK", b"GET", UntilCloseFraming),
        ((), b"HTTP/1.1 204 No Content", b"DELETE", None),
        ((b"Transfer-Encoding: chunked",), b"HTTP/1.1 204 No Content", b"DELETE", None),
        ((b"Content-Length: 5",), b"HTTP/1.1 304 Not Modified", b"GET", None),
        ((b"Content-Length: 5",), b"HTTP/1.1 200 OK", b"HEAD", None),
        ((b"Transfer-Encoding: chunked",), b"HTTP/1.1 200 OK", b"HEAD", None),
        ((), b"HTTP/1.1 200 OK", b"HEAD", None),
        ((), b"HTTP/1.1 100 Continue", b"POST", None),
        ((), b"HTTP/1.1 103", b"POST", None),
    ],
)
def test_the_body_ends_as_the_rfc_says(
    lines: tuple[bytes, ...], start: bytes, method: bytes, kind: type | None
) -> None:
    assert isinstance(cut(*lines, start=start, method=method).framing, kind or type(None))


@pytest.mark.parametrize("status", [b"100", b"101", b"103", b"199", b"204"])
@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"transfer-encoding: chunked"])
def test_an_answer_that_never_has_a_body_does_not_announce_one(status: bytes, framing: bytes) -> None:
    head = cut(b"ETag: 1", framing, b"X-A: 2", start=b"HTTP/1.1 " + status)
    assert (head.framing, head.kept) == (None, [b"ETag: 1", b"X-A: 2"])


def test_what_an_answer_without_its_body_says_of_the_body_passes() -> None:
    assert cut(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified").kept == [b"Content-Length: 5"]
    assert cut(b"Content-Length: 5", method=b"HEAD").kept == [b"Content-Length: 5"]


@pytest.mark.parametrize(
    ("lines", "start", "keep_alive"),
    [
        ((b"Content-Length: 5",), b"HTTP/1.1 200 OK", True),
        ((b"Content-Length: 5", b"Connection: Close"), b"HTTP/1.1 200 OK", False),
        ((b"Content-Length: 5",), b"HTTP/1.0 200 OK", False),
        ((b"Transfer-Encoding: chunked", b"Connection: keep-alive"), b"HTTP/1.0 200 OK", False),
        ((), b"HTTP/1.1 204 No Content", True),
        ((b"Content-Length: 00",), b"HTTP/1.1 204 No Content", True),
        ((b"Content-Length: 5",), b"HTTP/1.1 204 No Content", False),
        ((b"Transfer-Encoding: chunked",), b"HTTP/1.1 204 No Content", False),
        ((b"Content-Length: 5",), b"HTTP/1.1 304 Not Modified", True),
        ((b"Content-Length: 5", b"Connection: keep-alive"), b"HTTP/1.0 200 OK", True),
        ((), b"HTTP/1.1 200 OK", False),
    ],
)
def test_the_connection_is_kept_only_when_both_framing_and_provider_allow_it(
    lines: tuple[bytes, ...], start: bytes, *, keep_alive: bool
) -> None:
    assert cut(*lines, start=start).keep_alive == keep_alive


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1 2000 X\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 200OK\r\n\r\n", b"ICY 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 O\0K\r\n\r\n", b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 O\nK\r\n\r\n", b"junk\r\n\r\n", b"http/1.1 200 OK\r\n\r\n",
        *(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n" for line in
          (b"X: a\r\n b", b"X : a", b"X", b"X: a\nY: b", b"X: \0", b": a")),
    ],
)  # fmt: skip
def test_a_malformed_head_is_refused(raw: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_response_head(raw, b"GET", LIMITS.max_head_fields)


def test_a_head_of_more_lines_than_the_limit_is_refused() -> None:
    lines = [b"X-%d: 1" % number for number in range(LIMITS.max_head_fields)]
    assert len(cut(*lines).kept) == LIMITS.max_head_fields
    with pytest.raises(BadResponse, match="more than 128 header lines"):
        cut(*lines, b"X: 1")


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5, 5",), (b"Content-Length: +5",), (b"Content-Length: 0x5",),
        (b"Content-Length:",),
        (b"Content-Length: " + b"9" * 19,), (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: identity",), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ],
)  # fmt: skip
def test_a_framing_that_may_be_read_in_two_ways_is_refused(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(BadResponse):
        cut(*lines)


@pytest.mark.parametrize(
    ("status", "interim"), [(100, True), (102, True), (103, True), (101, False), (200, False)]
)
def test_every_1xx_but_101_is_followed_by_another_head(status: int, *, interim: bool) -> None:
    assert cut(start=b"HTTP/1.1 %d X" % status).interim == interim


@pytest.mark.parametrize("start", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 Alles \xe4ndert sich"])
def test_a_reason_phrase_is_kept_as_it_came(start: bytes) -> None:
    assert b"HTTP/1.1 200" + cut(start=start).reason == start


@pytest.mark.parametrize(
    "beginning", [b"HTTP/2 200\r\n", b"<html>", b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1 200 OK\n"]
)
def test_what_can_never_become_a_head_is_refused_before_its_end(beginning: bytes) -> None:
    with pytest.raises(BadResponse):
        check_incomplete_response(bytearray(beginning), 0)


@pytest.mark.parametrize("beginning", [b"H", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_the_beginning_of_a_head_may_wait_for_its_end(beginning: bytes) -> None:
    check_incomplete_response(bytearray(beginning), 0)


def test_a_chunked_head_tells_where_the_payload_of_each_piece_stands() -> None:
    head = cut(b"Transfer-Encoding: chunked")
    spans = head.payload_spans()
    assert head.framing is not None
    piece = b"2\r\nab\r\n3\r\ncde\r\n"
    head.framing.feed(piece)
    assert spans is not None
    assert [piece[start:end] for start, end in spans] == [b"ab", b"cde"]


@pytest.mark.parametrize("line", [b"Content-Length: 3", b"X: y"])
def test_all_bytes_of_an_unchunked_body_are_payload(line: bytes) -> None:
    assert cut(line).payload_spans() is None
