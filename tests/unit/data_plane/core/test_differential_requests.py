"""The core's accepted requests are read alike by llhttp and h11: as received, and as sent on.

A smuggled request is a byte read differently by two parsers (RFC 9112 §11.2, threat 4). The same is asked
of every body in chunks, wherever the core declares the body ended or not yet ended.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import event, given

from services.data_plane.core.admission import check_admission
from services.data_plane.core.framing import NOT_ENDED, BadFraming
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import RequestHead, parse_request_head
from tests.corpus.reference_parsers import (
    LLHTTP_METHODS,
    NOT_COMPLETE,
    Reading,
    read_with_h11,
    read_with_llhttp,
)
from tests.corpus.replay import AUTHORITIES, LIMITS, UNREADABLE, Sent, replay
from tests.unit.data_plane.core.generated import chunked_bodies, request_heads

NEXT = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED_HEAD = (
    b"POST /run9/ai/openai/v1/files HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nTransfer-Encoding: chunked\r\n\r\n"
)
CREDENTIAL = re.compile(rb"(?i)\r\n(authorization|x-api-key|api-key|proxy-authorization|cookie)[ \t]*:")


def _cut(raw: bytes) -> RequestHead | None:
    """Cut a head; None when the head is not well-formed. Any other refusal leaves the connection readable."""
    try:
        head = parse_request_head(raw, LIMITS.max_head_fields)
    except Refused:
        return None
    try:
        check_admission(head, AUTHORITIES, LIMITS.max_body_bytes)
    except Refused as refused:
        return None if refused.rejection.code in {*UNREADABLE, "method_not_allowed"} else head
    return head


def _body_for(head: RequestHead) -> bytes:
    if head.chunked:
        return b"5;a=b\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"
    return b"x" * min(head.content_length or 0, 64)


def _readings(raw: bytes, body: bytes, after: bytes = NEXT) -> list[Reading]:
    """Both parsers' readings of a message before another message. None may refuse, but for its method."""
    theirs = read_with_h11(raw + body + after)
    assert theirs is not None, "h11 refuses what the core accepts"
    readings = [theirs]
    if raw.partition(b" ")[0] in LLHTTP_METHODS:
        node = read_with_llhttp(raw + body + after)
        assert node is not None, "llhttp refuses what the core accepts"
        readings.append(node)
    return readings


def _coding_in_lower_case(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """H11 writes the names of transfer codings in lower case (RFC 9112 §7: names are case-insensitive)."""
    return (field[0], field[1].lower()) if field[0].lower() == b"transfer-encoding" else field


def _check_reading(head: RequestHead, raw: bytes, body: bytes, reading: Reading) -> None:
    assert reading.start == (head.method, head.target)
    assert reading.minor == head.minor
    lines = (line.partition(b":") for line in raw.split(b"\r\n")[1:-2])
    expected = [(name, value.strip(b" \t")) for name, _, value in lines]
    assert list(map(_coding_in_lower_case, reading.headers)) == list(map(_coding_in_lower_case, expected))
    if reading.upgrade and not head.websocket:
        # httptools takes no body where an upgrade was asked for. The core ignores any but a WebSocket's (RFC
        # 9110 §7.8) and passes none on, so nobody behind it reads such a message: see the test below.
        assert reading.end in {len(raw), len(raw) + len(body), NOT_COMPLETE}
    elif (head.content_length or 0) <= len(body) or head.chunked:
        assert reading.end == len(raw) + len(body)
    else:
        assert reading.end == NOT_COMPLETE
    if head.websocket:
        assert reading.upgrade
    elif reading.end != NOT_COMPLETE and head.minor and not reading.upgrade:
        assert reading.keep_alive == head.keep_alive


@given(raw=request_heads)
def test_nothing_that_the_core_accepts_is_read_differently_by_llhttp_or_h11(raw: bytes) -> None:
    end = raw.find(b"\r\n\r\n") + 4
    raw = raw[:end]
    head = _cut(raw)
    event("accepted" if head else "refused")
    if head is None:
        return
    body = _body_for(head)
    for reading in _readings(raw, body):
        _check_reading(head, raw, body, reading)


def _check_sent(sent: Sent) -> None:
    assert len(CREDENTIAL.findall(sent.sent_head)) == 1
    lowered = sent.sent_head.lower()
    assert lowered.count(b"\r\nhost:") == 1
    assert b"\r\nx-run9-" not in lowered
    assert b"\r\nx-forwarded-" not in lowered
    for reading in _readings(sent.sent_head, sent.body, NEXT if sent.whole else b""):
        assert reading.start[1].startswith(b"/v1")
        assert reading.start[0] == sent.head.method
        assert not any(b"_" in name for name, _ in reading.headers)
        assert reading.upgrade == sent.head.websocket
        expected = len(sent.sent_head) + len(sent.body)
        assert reading.end == (expected if sent.whole else NOT_COMPLETE)


@given(raw=request_heads)
def test_what_is_sent_on_is_one_request_with_one_credential_to_every_reader(raw: bytes) -> None:
    head = _cut(raw[: raw.find(b"\r\n\r\n") + 4])
    body = _body_for(head) if head else b""
    result = replay([raw + body])
    event(result.outcomes[0])
    for sent in result.sent[:1]:
        _check_sent(sent)


def _end_of(body: bytes) -> tuple[int, int]:
    """Feed byte by byte: (where the body ended or `NOT_ENDED`, how many bytes were passed on before)."""
    head = _cut(CHUNKED_HEAD)
    assert head is not None
    framing = head.framing()
    assert framing is not None
    for at in range(len(body)):
        try:
            if framing.feed(body[at : at + 1]) != NOT_ENDED:
                return at + 1, at + 1
        except BadFraming:
            return NOT_ENDED, at
    return NOT_ENDED, len(body)


@given(body=chunked_bodies)
def test_a_chunked_body_ends_where_llhttp_and_h11_say(body: bytes) -> None:
    end, passed = _end_of(body)
    event("ended" if end != NOT_ENDED else "not ended")
    readings = [
        read(CHUNKED_HEAD + body[:passed] + (NEXT if end != NOT_ENDED else b""))
        for read in (read_with_h11, read_with_llhttp)
    ]
    if end == NOT_ENDED:
        # Whatever was passed on before the doubt arose may not be a whole request to anyone.
        assert all(reading is None or reading.end == NOT_COMPLETE for reading in readings)
        return
    assert all(reading is not None and reading.end == len(CHUNKED_HEAD) + end for reading in readings)
    payloads = [reading.payload for reading in readings if reading is not None]
    assert all(a == b for a, b in pairwise(payloads))


@pytest.mark.parametrize("method", LLHTTP_METHODS)
def test_a_method_that_llhttp_knows_is_compared(method: bytes) -> None:
    raw = method + b" /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
    assert len(_readings(raw, b"")) == 2
