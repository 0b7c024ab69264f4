"""A head that is recognised means exactly what it would mean if it were cut again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from services.data_plane.core.head_memo import HeadMemo
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import cut_request_head
from services.data_plane.core.request_rules import prepare_head
from services.data_plane.core.route import split_target
from tests.corpus.replay import LIMITS, ROUTES, integration_of
from tests.unit.data_plane.core.generated import broken, request_heads

OPENAI, OTHER = integration_of("openai"), integration_of("openai", "sk-another-key", "https://h.example/v1")
POST = (
    b"POST /run9/ai/openai/v1/x?q HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n"
    b"X-A: 1\r\ncontent-length:%b\r\nX-B: 2\r\n\r\n"
)
GET = b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
WEBSOCKET = (
    b"GET /run9/ai/openai/v1/x HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nContent-Length: %b\r\n\r\n"
)


def memo_of(raw: bytes) -> HeadMemo | None:
    """Remember a head as the relay does; None for one that it refuses."""
    try:
        head = cut_request_head(raw, LIMITS.max_head_fields)
        path, query = split_target(head.target)
        route = ROUTES.find(path)
    except Refused:
        return None
    return HeadMemo(raw, head, route, query, LIMITS.max_head_bytes) if route is not None else None


def length_of(memo: HeadMemo, raw: bytes) -> bytes | None:
    """The digits of a head that is recognised and whole. What follows it must change nothing."""
    found = memo.recognise(raw)
    if found is None:
        return None
    head, rest, digits = found
    assert head + rest == raw
    assert head.find(b"\r\n\r\n") == len(head) - 4, "it ends where its first empty line does"
    assert memo.recognise(raw + b"\r\n\r\n") == (head, rest + b"\r\n\r\n", digits)
    return None if rest else digits


def check_alike(memo: HeadMemo, raw: bytes) -> None:
    """What is remembered for `raw`, if anything, is what cutting it gives."""
    length = length_of(memo, raw)
    if length is None:
        event("another head")
        return
    event("recognised")
    head = cut_request_head(raw, LIMITS.max_head_fields)
    assert head.content_length == (int(length) if length else None)
    assert replace(head, content_length=None, kept=b"") == replace(memo.head, content_length=None, kept=b"")
    assert memo.prepare(OPENAI, length) == prepare_head(head, memo.route, memo.query, OPENAI)


@given(first=request_heads, data=st.data())
def test_a_recognised_head_means_what_cutting_it_gives(first: bytes, data: st.DataObject) -> None:
    first = first[: first.find(b"\r\n\r\n") + 4]
    memo = memo_of(first)
    if memo is None:
        return
    check_alike(memo, first)
    digits = data.draw(
        st.sampled_from(b"0|7|12|0012|123456789012345678|1234567890123456789|+1|1 |x|".split(b"|"))
    )
    other = first.replace(b"5\r\n", digits + b"\r\n").replace(b"0\r\n", digits + b"\r\n")
    for second in (other, data.draw(broken(st.just(other)))):
        check_alike(memo, second)


@pytest.mark.parametrize("digits", [b"1", b"0", b"42", b"123456789012345678"])
def test_only_the_length_may_differ(digits: bytes) -> None:
    memo = memo_of(POST % b" 5")
    assert memo is not None
    assert length_of(memo, POST % (b" " + digits)) == digits
    assert memo.prepare(OPENAI, digits).count(b"\r\ncontent-length: " + digits + b"\r\n") == 1


@pytest.mark.parametrize(
    "other",
    [POST % b" ", POST % b" +1", POST % b" 1 1", POST % b" 1,1", POST % b" " + POST % b" 5",
     POST % (b" " + b"1" * 19),
     POST.replace(b"X-B: 2", b"X-B: 3") % b" 5", POST.replace(b"X-A: 1", b"x-a: 1") % b" 5", GET, b"",
     POST % b" 5\r\nTransfer-Encoding: chunked", POST % b" 5\r\nContent-Length: 6",
     POST % b" \xef\xbc\x95"],
)  # fmt: skip
def test_any_other_difference_makes_it_another_head(other: bytes) -> None:
    memo = memo_of(POST % b" 5")
    assert memo is not None
    assert length_of(memo, other) is None


def test_a_head_without_a_length_is_recognised_whole_or_not_at_all() -> None:
    memo = memo_of(GET)
    assert memo is not None
    assert length_of(memo, GET) == b""
    assert length_of(memo, GET + b"x") is None
    assert length_of(memo, GET[:-2] + b"Content-Length: 5\r\n\r\n") is None
    assert length_of(memo, GET[:-2]) is None


def test_a_handshake_does_not_gain_a_body() -> None:
    memo = memo_of(WEBSOCKET % b"0")
    assert memo is not None
    assert length_of(memo, WEBSOCKET % b"0") == b"0"
    assert length_of(memo, WEBSOCKET % b"5") is None


def test_a_changed_integration_is_prepared_anew() -> None:
    memo = memo_of(GET)
    assert memo is not None
    first, second = memo.prepare(OPENAI, b""), memo.prepare(OTHER, b"")
    assert OPENAI.key_bytes in first
    assert OPENAI.key_bytes not in second
    assert second.endswith(OTHER.host_line + OTHER.credential_lines + b"\r\n")
    assert memo.prepare(OPENAI, b"") == first


def test_what_is_here_of_the_body_follows_the_head() -> None:
    memo = memo_of(GET)
    assert memo is not None
    assert memo.prepare(OPENAI, b"", [b"ab", b"c"]) == memo.prepare(OPENAI, b"") + b"abc"


@pytest.mark.parametrize("raw", [POST % b" 12345", GET])
def test_a_recognised_head_is_parted_from_what_follows_it(raw: bytes) -> None:
    memo = memo_of(raw)
    assert memo is not None
    found = memo.recognise(raw + b"body" + raw)
    assert found is not None
    assert found[:2] == (raw, b"body" + raw)


def test_a_part_of_a_head_is_not_recognised() -> None:
    raw = POST % b" 12345"
    memo = memo_of(raw)
    assert memo is not None
    assert not any(memo.recognise(raw[:end]) for end in range(len(raw)))


def test_a_head_that_more_digits_make_too_large_is_not_recognised() -> None:
    raw = POST % b" 1"
    first = memo_of(raw)
    assert first is not None
    memo = HeadMemo(raw, first.head, first.route, first.query, len(raw) + 1)
    assert length_of(memo, POST % b" 12") == b"12"
    assert memo.recognise(POST % b" 123") is None
