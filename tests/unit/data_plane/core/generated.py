"""Strategies generating the bytes on a wire: request heads, answers' heads, paths, chunked bodies.

Each strategy mixes bytes of real clients with bytes of attackers, and then breaks some, so a large part is
acceptable and the rest lies close to it.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from tests.corpus.reference_parsers import LLHTTP_METHODS

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
NASTY = (
    *(bytes([byte]) for byte in b'\r\n\0 \t:,;01+-_#\\"\x0b\x0c\x1f\x7f\x85\xff'),
    *(b"\r\n", b"\n\n", b"\r\n ", b"\r\n\t", b"\r\r\n", b" :"),
)

tokens = st.text(st.sampled_from(TOKEN.decode()), min_size=1, max_size=8).map(str.encode)
values = st.binary(max_size=12).map(lambda raw: bytes(b for b in raw if b not in b"\r\n\0"))

_LENGTHS = (*b"0|5|5|17|+5|-5|5,5|5 5|0x5|05|5.0|".split(b"|"), b"9" * 18, b"9" * 20)
_CODINGS = tuple(
    b"chunked|chunked|Chunked|CHUNKED|chunked, chunked|gzip, chunked|identity|chunked;q=1|xchunked"
    b"||\x0bchunked|chunked,".split(b"|")
)
_CONNECTIONS = tuple(
    b"close|keep-alive|Upgrade|keep-alive, Upgrade|close, x-api-key|x-a||Close|authorization|content-length"
    b"|,close|close;x|closed|anthropic-beta".split(b"|")
)
_REQUEST_FIELDS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"Content-Length", _LENGTHS),
    (b"content-length", _LENGTHS),
    (b"Transfer-Encoding", _CODINGS),
    (b"transfer-encoding", _CODINGS),
    (b"Connection", _CONNECTIONS),
    (b"Upgrade", (b"websocket", b"WebSocket", b"h2c", b"websocket, h2c")),
    (b"Expect", (b"100-continue", b"x")),
    (b"Authorization", (b"Bearer run9-placeholder", b"Bearer sk-ant-api03-xxxxxxxxxxxxxxxxxx", b"")),
    (b"X-Api-Key", (b"run9-placeholder", b"")),
    (b"api-key", (b"k",)),
    (b"Cookie", (b"a=b",)),
    (b"X-Forwarded-For", (b"1.1.1.1",)),
    (b"x-run9-org", (b"org_2",)),
    (b"x_api_key", (b"k",)),
    (b"Content_Length", (b"7",)),
    (b"Host", (b"10.0.2.2:1000", b"evil.example")),
    (b"TE", (b"trailers",)),
    (b"Trailer", (b"x-a",)),
    (b"Anthropic-Beta", (b"a-1", b"a-1, oauth-2025-04-20", b"")),
    (b"Sec-WebSocket-Protocol", (b"realtime, openai-insecure-api-key.k", b"realtime", b",")),
    (b"X-A", (b"1", b"\xc3\xa9", b"a  b\t", b"")),
)


@st.composite
def _fields(
    draw: st.DrawFn, table: tuple[tuple[bytes, tuple[bytes, ...]], ...], most: int = 5
) -> list[bytes]:
    lines = []
    for _ in range(draw(st.integers(0, most))):
        name, texts = draw(st.sampled_from(table))
        if draw(st.integers(0, 7)) == 0:
            name = draw(tokens)
        value = draw(st.sampled_from(texts)) if draw(st.integers(0, 7)) else draw(values)
        lines.append(name + draw(st.sampled_from((b": ", b":", b":\t ", b": "))) + value)
    return lines


@st.composite
def broken(draw: st.DrawFn, whole: st.SearchStrategy[bytes], *, most: int = 2) -> bytes:
    """Break up to `most` places: a byte put in, taken out, or replaced; about half stay unchanged."""
    data = draw(whole)
    for _ in range(draw(st.sampled_from((0, 0, 1, most)))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        put = draw(st.sampled_from(NASTY))
        data = data[:at] + put + data[at + draw(st.integers(0, 2)) :]
    return data


@st.composite
def _whole_requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(LLHTTP_METHODS)) if draw(st.integers(0, 9)) else draw(tokens)
    base = draw(st.sampled_from((b"/run9/ai/openai/v1/", b"/run9/ai/anthropic/")))
    rests = b'chat/completions|models?x=%0d%0a|files/a%2Fb||x?"<>^`{}\\'.split(b"|")
    target = base + draw(st.sampled_from(rests))
    version = draw(st.sampled_from((b"1", b"1", b"1", b"0", b"2")))
    lines = draw(_fields(_REQUEST_FIELDS))
    if draw(st.integers(0, 9)):
        lines.insert(draw(st.integers(0, len(lines))), b"Host: 10.0.2.2:1000")
    return b"\r\n".join((b"%b %b HTTP/1.%b" % (method, target, version), *lines, b"", b""))


_RESPONSE_FIELDS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"Content-Length", _LENGTHS),
    (b"Transfer-Encoding", _CODINGS),
    (b"Connection", (b"close", b"keep-alive", b"x-a", b"Close", b"close, x-a", b"")),
    (b"Set-Cookie", (b"a=b",)),
    (b"Location", (b"/v1/x", b"https://evil.example/")),
    (b"X-Request-Id", (b"req_1",)),
    (b"Retry-After", (b"1",)),
    (b"X-A", (b"1", b"\xc3\xa9", b"")),
)


@st.composite
def _whole_answers(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from(b"200|200|200|204|304|404|500|103|099|2000".split(b"|")))
    reason = draw(st.sampled_from((b" OK", b" ", b"", b" Not \xe9 It", b" \t")))
    version = draw(st.sampled_from((b"1", b"1", b"1", b"0", b"2")))
    line = b"HTTP/1.%b %b%b" % (version, status, reason)
    return b"\r\n".join((line, *draw(_fields(_RESPONSE_FIELDS)), b"", b""))


request_heads = broken(_whole_requests())
answer_heads = broken(_whole_answers())


@st.composite
def _whole_chunked(draw: st.DrawFn) -> bytes:
    out = []
    for piece in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = b"%x" % len(piece)
        size = draw(st.sampled_from((size, size.upper(), b"0" + size, b"0" * 12 + size)))
        extension = draw(st.sampled_from((b"", b"", b";a", b";a=b", b';a="b;c"', b";a;b=1")))
        out += [size, extension, b"\r\n", piece, b"\r\n"]
    trailer = st.sampled_from((b"X-A: 1\r\n", b"x-b:\r\n", b"Server-Timing: a;b\r\n"))
    trailers = draw(st.lists(trailer, max_size=2))
    return b"".join((*out, b"0", draw(st.sampled_from((b"", b"", b";z=9"))), b"\r\n", *trailers, b"\r\n"))


whole_chunked = _whole_chunked()
chunked_bodies = broken(whole_chunked, most=3)


@st.composite
def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut `data` into pieces at up to six places."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]
