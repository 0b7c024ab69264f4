"""Every kind of bad input and the relay's reaction: the rows of docs/bad-input.md, each sent through a relay.

`tests/relay/test_bad_input.py` sends the bytes of each row on real sockets and holds the relay to the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.rejections import Rejection

Ending = Literal["stays", "ends"]
"""The fate of the box's connection."""

_HOST: Final = b"Host: 10.0.2.2:1000\r\n"
_POST: Final = b"POST /run9/ai/openai/v1/files HTTP/1.1\r\n" + _HOST
_CHUNKED: Final = _POST + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A bad request from a box.

    Attributes:
        what: of the input, for people.
        raw: the bytes.
        answer: how the gateway refuses it.
        ending: the fate of the connection.
        limits: relay limits for the test of the row, so a test need not wait or send gigabytes.
    """

    what: str
    raw: bytes
    answer: Rejection
    ending: Ending = "ends"
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadAnswer:
    """A bad response from a provider's endpoint.

    Attributes:
        what: of the input, for people.
        raw: the bytes sent before the endpoint ends the connection.
        answer: the box's answer instead; None where the answer had begun: then its connection is reset.
        holds: the endpoint keeps the connection open and sends nothing more.
        limits: as above.
    """

    what: str
    raw: bytes
    answer: Rejection | None
    holds: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)


def _get(path: bytes = b"/run9/ai/openai/v1/models", *lines: bytes) -> bytes:
    head = b"GET " + path + b" HTTP/1.1\r\n" + _HOST
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return _POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


_BAD: Final = Rejection.BAD_REQUEST
_PAGE: Final = Rejection.BROWSER_REQUEST_REFUSED

BAD_REQUESTS: Final = (
    BadRequest("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", _BAD),
    BadRequest("an empty line before the request", b"\r\n" + _get(), _BAD),
    BadRequest("HTTP/0.9", b"GET /run9/ai/openai/v1/models\r\n\r\n", _BAD),
    BadRequest("HTTP/2 in clear text", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _BAD),
    BadRequest("two spaces in the request line", _get().replace(b" HTTP", b"  HTTP"), _BAD),
    BadRequest(
        "a request target that is a URL", _get(b"http://10.0.2.2:1000/run9/ai/openai/v1/models"), _BAD
    ),
    BadRequest("a fragment in the path", _get(b"/run9/ai/openai/v1/models#x"), _BAD),
    BadRequest("a byte that is not ASCII in the path", _get("/run9/ai/openai/v1/ä".encode()), _BAD),
    BadRequest("`..` in the path", _get(b"/run9/ai/openai/v1/../x"), _BAD),
    BadRequest("`%2e%2e` in the path", _get(b"/run9/ai/openai/v1/%2e%2e/x"), _BAD),
    BadRequest("`%252e%252e` in the path", _get(b"/run9/ai/openai/v1/%252e%252e/x"), _BAD),
    BadRequest("`..;x` in the path", _get(b"/run9/ai/openai/v1/..;x/y"), _BAD),
    BadRequest("an encoded line end in the path", _get(b"/run9/ai/openai/v1/a%0d%0ab"), _BAD),
    BadRequest("lines that end in LF", _get().replace(b"\r\n", b"\n"), _BAD),
    BadRequest("a CR inside a value", _get(b"/run9/ai/openai/v1/models", b"X-A: a\rb"), _BAD),
    BadRequest("a NUL inside a value", _get(b"/run9/ai/openai/v1/models", b"X-A: a\0b"), _BAD),
    BadRequest("a folded header line", _get(b"/run9/ai/openai/v1/models", b"X-A: a", b" b"), _BAD),
    BadRequest("a space before the colon", _get(b"/run9/ai/openai/v1/models", b"X-A : a"), _BAD),
    BadRequest("a header line without a colon", _get(b"/run9/ai/openai/v1/models", b"nonsense"), _BAD),
    BadRequest("no `Host`", b"GET /run9/ai/openai/v1/models HTTP/1.1\r\n\r\n", _BAD),
    BadRequest("two `Host` lines", _get(b"/run9/ai/openai/v1/models", b"Host: 10.0.2.2:1000"), _BAD),
    BadRequest("two lengths", _post(b"Content-Length: 1", b"Content-Length: 1", body=b"x"), _BAD),
    BadRequest("a length with a sign", _post(b"Content-Length: +1", body=b"x"), _BAD),
    BadRequest("a list of lengths", _post(b"Content-Length: 1, 1", body=b"x"), _BAD),
    BadRequest(
        "a length and a transfer coding",
        _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        _BAD,
    ),
    BadRequest("another coding than `chunked`", _post(b"Transfer-Encoding: gzip, chunked"), _BAD),
    BadRequest("`chunked` in HTTP/1.0", _CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0"), _BAD),
    BadRequest("`Connection` names a framing header", _post(b"Connection: content-length"), _BAD),
    BadRequest(
        "a HEAD of the base URL with a body",
        b"HEAD /run9/ai/openai/v1/ HTTP/1.1\r\n" + _HOST + b"Content-Length: 1\r\n\r\nx",
        _BAD,
    ),
    BadRequest(
        "a WebSocket handshake with a body", _post(b"Connection: upgrade", b"Upgrade: websocket"), _BAD
    ),
    BadRequest("a chunk size that is not hexadecimal", _CHUNKED + b"0x5\r\nhello\r\n", _BAD),
    BadRequest("a chunk size above 15 digits", _CHUNKED + b"1" * 16 + b"\r\n", _BAD),
    BadRequest("a chunk longer than its size", _CHUNKED + b"2\r\nhello\r\n", _BAD),
    BadRequest("a chunk that ends in LF", _CHUNKED + b"5\r\nhello\n", _BAD),
    BadRequest("a chunk extension over 256 bytes", _CHUNKED + b"5;a=" + b"x" * 300 + b"\r\n", _BAD),
    BadRequest("a credential in the trailers", _CHUNKED + b"0\r\nAuthorization: x\r\n\r\n", _BAD),
    BadRequest("trailers over 8 KiB", _CHUNKED + b"0\r\n" + b"X-A: b\r\n" * 2000, _BAD),
    BadRequest(
        "headers over 64 KiB",
        _get(b"/run9/ai/openai/v1/models", b"X: " + b"x" * 65536),
        Rejection.HEAD_TOO_LARGE,
    ),
    BadRequest(
        "more than 128 header lines",
        _get(b"/run9/ai/openai/v1/models", *(b"X-%d: 1" % n for n in range(129))),
        Rejection.HEAD_TOO_LARGE,
    ),
    BadRequest("a length over the limit", _post(b"Content-Length: 1073741825"), Rejection.BODY_TOO_LARGE),
    BadRequest(
        "chunks over the limit",
        _CHUNKED + b"400\r\n" + b"x" * 1024 + b"\r\n",
        Rejection.BODY_TOO_LARGE,
        limits={"max_body_bytes": 1000},
    ),
    BadRequest(
        "a head that does not end in time",
        _get()[:-2],
        Rejection.REQUEST_TIMEOUT,
        limits={"head_seconds": 0.2},
    ),
    BadRequest(
        "a body that stops",
        _post(b"Content-Length: 10", body=b"half"),
        Rejection.REQUEST_TIMEOUT,
        limits={"body_progress_seconds": 0.2},
    ),
    BadRequest(
        "CONNECT", b"CONNECT a:443 HTTP/1.1\r\n" + _HOST + b"\r\n", Rejection.METHOD_NOT_ALLOWED, "stays"
    ),
    BadRequest("TRACE", _get().replace(b"GET", b"TRACE"), Rejection.METHOD_NOT_ALLOWED, "stays"),
    BadRequest(
        "a route that mints credentials",
        _get(b"/run9/ai/openai/v1/organization/admin_api_keys"),
        Rejection.ROUTE_NOT_ALLOWED,
        "stays",
    ),
    BadRequest(
        "such a route, encoded",
        _get(b"/run9/ai/openai/%6frganization%2fadmin_api_keys"),
        Rejection.ROUTE_NOT_ALLOWED,
        "stays",
    ),
    BadRequest("another `Host`", _get().replace(b"10.0.2.2:1000", b"evil.example"), _PAGE, "stays"),
    BadRequest(
        "a form sent by a page",
        _post(b"Origin: https://evil.example", b"Content-Length: 3", body=b"a=b"),
        _PAGE,
        "stays",
    ),
    BadRequest(
        "an image shown by a page",
        _get(b"/run9/ai/openai/v1/models", b"Sec-Fetch-Site: cross-site"),
        _PAGE,
        "stays",
    ),
    BadRequest(
        "a provider that is not set up",
        _get(b"/run9/ai/anthropic/v1/models"),
        Rejection.INTEGRATION_MISSING,
        "stays",
    ),
    BadRequest(
        "too many requests at once",
        _get(),
        Rejection.OVERLOADED,
        "stays",
        limits={"max_requests_per_box": 1},
    ),
    BadRequest(
        "`Expect: 100-continue` with something refused",
        _post(b"Origin: https://evil.example", b"Expect: 100-continue", b"Content-Length: 3"),
        _PAGE,
    ),
)

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_BEGUN: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
_INVALID: Final = Rejection.UPSTREAM_INVALID
_GONE: Final = Rejection.UPSTREAM_UNREACHABLE
_LATE: Final = Rejection.UPSTREAM_TIMEOUT

BAD_ANSWERS: Final = (
    BadAnswer("closes without an answer", b"", _GONE),
    BadAnswer("closes within its headers", _OK + b"Content-", _GONE),
    BadAnswer("sends nothing", b"", _LATE, holds=True, limits={"first_byte_seconds": 0.2}),
    BadAnswer("stops within its headers", _OK, _LATE, holds=True, limits={"first_byte_seconds": 0.2}),
    BadAnswer("no HTTP", b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", _INVALID),
    BadAnswer("HTTP/2", b"HTTP/2 200\r\n\r\n", _INVALID),
    BadAnswer("lines that end in LF", b"HTTP/1.1 200 OK\nA: b\n\nx\r\n\r\n", _INVALID),
    BadAnswer("a folded header line", _OK + b"A: b\r\n c\r\n\r\n", _INVALID),
    BadAnswer("a NUL in a header", _OK + b"A: b\0\r\n\r\n", _INVALID),
    BadAnswer("headers over 64 KiB", _OK + b"A: " + b"b" * 66_000, _INVALID),
    BadAnswer(
        "more than 128 header lines",
        _OK + b"".join(b"X-%d: 1\r\n" % number for number in range(129)) + b"\r\n",
        _INVALID,
    ),
    BadAnswer(
        "more than 128 header lines in an interim answer",
        b"HTTP/1.1 103 Early Hints\r\n" + b"Link: a\r\n" * 129 + b"\r\n" + _OK + b"\r\n",
        _INVALID,
    ),
    BadAnswer("two different lengths", _OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", _INVALID),
    BadAnswer(
        "a length and a transfer coding",
        _OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        _INVALID,
    ),
    BadAnswer("another coding than `chunked`", _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", _INVALID),
    BadAnswer("more than 16 interim answers", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17, _INVALID),
    BadAnswer(
        "101 that nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        _INVALID,
    ),
    BadAnswer(
        "a redirect to another host",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
        Rejection.UPSTREAM_REDIRECT,
    ),
    BadAnswer(
        "401",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
        Rejection.UPSTREAM_REFUSED_UNEXPLAINED,
    ),
    BadAnswer("ends before its length", _OK + b"Content-Length: 9\r\n\r\nhalf", None),
    BadAnswer("ends without the last chunk", _BEGUN, None),
    BadAnswer("a chunk size that is no number", _BEGUN + b"zz\r\n", None),
    BadAnswer("a chunk longer than its size", _BEGUN + b"1\r\nabc\r\n", None),
    BadAnswer("trailers over 8 KiB", _BEGUN + b"0\r\n" + b"A: b\r\n" * 2000, None),
    BadAnswer("stops within its body", _BEGUN, None, holds=True, limits={"idle_seconds": 0.2}),
)
