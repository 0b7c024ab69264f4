"""The core's accepted answers are read alike by llhttp and h11: as received, and as passed on."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from services.data_plane.core.framing import ChunkedFraming, LengthFraming, UntilCloseFraming
from services.data_plane.core.response_head import BadResponse, ResponseHead, parse_response_head
from services.data_plane.core.response_rules import prepare_response
from tests.corpus.reference_parsers import NOT_COMPLETE, Reading, read_with_h11, read_with_llhttp
from tests.corpus.replay import LIMITS, integration_of
from tests.unit.data_plane.core.generated import answer_heads

OPENAI = integration_of("openai")
CHUNKS = b"5;a=b\r\nhello\r\n0\r\n\r\n"
NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def _body(head: ResponseHead) -> bytes:
    if isinstance(head.framing, ChunkedFraming):
        return CHUNKS
    return b"x" * min(head.framing.left, 64) if isinstance(head.framing, LengthFraming) else b""


def _check(head: ResponseHead, raw: bytes, method: bytes) -> None:
    body = _body(head)
    keeps = not isinstance(head.framing, UntilCloseFraming)
    after = NEXT if keeps and not head.interim else b""
    readings: list[Reading] = []
    theirs = read_with_h11(raw + body + after, "response", request_method=method)
    assert theirs is not None, "h11 refuses what the core accepts"
    readings.append(theirs)
    # httptools cannot be told that the request was a HEAD.
    node = read_with_llhttp(raw + body + after, "response") if method != b"HEAD" else None
    if node is not None:
        readings.append(node)
    for reading in readings:
        assert reading.start[0] == b"%d" % head.status
        if isinstance(head.framing, UntilCloseFraming):
            assert reading.end == NOT_COMPLETE
        elif not isinstance(head.framing, LengthFraming) or head.framing.left <= len(body):
            if not head.interim:
                assert reading.end == len(raw) + len(body)
        else:
            assert reading.end == NOT_COMPLETE


@given(raw=answer_heads, method=st.sampled_from((b"GET", b"POST", b"HEAD")))
def test_nothing_that_the_core_accepts_from_a_provider_is_read_differently(raw: bytes, method: bytes) -> None:
    raw = raw[: raw.find(b"\r\n\r\n") + 4]
    try:
        head = parse_response_head(raw, method, LIMITS.max_head_fields)
    except BadResponse:
        event("refused")
        return
    event("accepted")
    _check(head, raw, method)


@given(raw=answer_heads, method=st.sampled_from((b"GET", b"POST", b"HEAD")), close=st.booleans())
def test_what_the_box_gets_is_read_as_the_gateway_read_it(raw: bytes, method: bytes, *, close: bool) -> None:
    raw = raw[: raw.find(b"\r\n\r\n") + 4]
    try:
        head = parse_response_head(raw, method, LIMITS.max_head_fields)
    except BadResponse:
        return
    out = prepare_response(head, OPENAI, close=close)
    lowered = out.lower()
    assert not any(
        b"\r\n" + name + b":" in lowered for name in (b"set-cookie", b"alt-svc", b"openai-organization")
    )
    assert out.count(b"\r\n\r\n") == 1
    again = parse_response_head(out, method, LIMITS.max_head_fields)
    assert (again.status, type(again.framing)) == (head.status, type(head.framing))
    _check(again, out, method)
