"""A recognised head has exactly the meaning of the same head cut again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import parse_request_head
from services.data_plane.core.request_rules import prepare_head
from services.data_plane.core.request_template import RequestTemplate
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


def template_of(raw: bytes) -> RequestTemplate | None:
    """Remember a head as the relay does; None for a refused head."""
    try:
        head = parse_request_head(raw, LIMITS.max_head_fields)
        path, query = split_target(head.target)
        route = ROUTES.find(path)
    except Refused:
        return None
    return RequestTemplate(raw, head, route, query, LIMITS.max_head_bytes) if route is not None else None


def length_of(template: RequestTemplate, raw: bytes) -> bytes | None:
    """The digits of a recognised, whole head. The bytes after the head must change nothing."""
    found = template.recognise(raw)
    if found is None:
        return None
    head, rest, digits = found
    assert head + rest == raw
    assert head.find(b"\r\n\r\n") == len(head) - 4, "it ends where its first empty line does"
    assert template.recognise(raw + b"\r\n\r\n") == (head, rest + b"\r\n\r\n", digits)
    return None if rest else digits


def check_alike(template: RequestTemplate, raw: bytes) -> None:
    """The template's memory of `raw`, if any, equals the result of cutting `raw`."""
    length = length_of(template, raw)
    if length is None:
        event("another head")
        return
    event("recognised")
    head = parse_request_head(raw, LIMITS.max_head_fields)
    assert head.content_length == (int(length) if length else None)
    assert replace(head, content_length=None, kept=b"") == replace(
        template.head, content_length=None, kept=b""
    )
    assert template.prepare(OPENAI, length) == prepare_head(head, template.route, template.query, OPENAI)


@given(first=request_heads, data=st.data())
def test_a_recognised_head_means_what_cutting_it_gives(first: bytes, data: st.DataObject) -> None:
    first = first[: first.find(b"\r\n\r\n") + 4]
    template = template_of(first)
    if template is None:
        return
    check_alike(template, first)
    digits = data.draw(
        st.sampled_from(b"0|7|12|0012|123456789012345678|1234567890123456789|+1|1 |x|".split(b"|"))
    )
    other = first.replace(b"5\r\n", digits + b"\r\n").replace(b"0\r\n", digits + b"\r\n")
    for second in (other, data.draw(broken(st.just(other)))):
        check_alike(template, second)


@pytest.mark.parametrize("digits", [b"1", b"0", b"42", b"123456789012345678"])
def test_only_the_length_may_differ(digits: bytes) -> None:
    template = template_of(POST % b" 5")
    assert template is not None
    assert length_of(template, POST % (b" " + digits)) == digits
    assert template.prepare(OPENAI, digits).count(b"\r\ncontent-length: " + digits + b"\r\n") == 1


@pytest.mark.parametrize(
    "other",
    [POST % b" ", POST % b" +1", POST % b" 1 1", POST % b" 1,1", POST % b" " + POST % b" 5",
     POST % (b" " + b"1" * 19),
     POST.replace(b"X-B: 2", b"X-B: 3") % b" 5", POST.replace(b"X-A: 1", b"x-a: 1") % b" 5", GET, b"",
     POST % b" 5\r\nTransfer-Encoding: chunked", POST % b" 5\r\nContent-Length: 6",
     POST % b" \xef\xbc\x95"],
)  # fmt: skip
def test_any_other_difference_makes_it_another_head(other: bytes) -> None:
    template = template_of(POST % b" 5")
    assert template is not None
    assert length_of(template, other) is None


def test_a_head_without_a_length_is_recognised_whole_or_not_at_all() -> None:
    template = template_of(GET)
    assert template is not None
    assert length_of(template, GET) == b""
    assert length_of(template, GET + b"x") is None
    assert length_of(template, GET[:-2] + b"Content-Length: 5\r\n\r\n") is None
    assert length_of(template, GET[:-2]) is None


def test_a_handshake_does_not_gain_a_body() -> None:
    template = template_of(WEBSOCKET % b"0")
    assert template is not None
    assert length_of(template, WEBSOCKET % b"0") == b"0"
    assert length_of(template, WEBSOCKET % b"5") is None


def test_a_changed_integration_is_prepared_anew() -> None:
    template = template_of(GET)
    assert template is not None
    first, second = template.prepare(OPENAI, b""), template.prepare(OTHER, b"")
    assert OPENAI.key_bytes in first
    assert OPENAI.key_bytes not in second
    assert second.endswith(OTHER.host_line + OTHER.credential_lines + b"\r\n")
    assert template.prepare(OPENAI, b"") == first


def test_what_is_here_of_the_body_follows_the_head() -> None:
    template = template_of(GET)
    assert template is not None
    assert template.prepare(OPENAI, b"", [b"ab", b"c"]) == template.prepare(OPENAI, b"") + b"abc"


@pytest.mark.parametrize("raw", [POST % b" 12345", GET])
def test_a_recognised_head_is_parted_from_what_follows_it(raw: bytes) -> None:
    template = template_of(raw)
    assert template is not None
    found = template.recognise(raw + b"body" + raw)
    assert found is not None
    assert found[:2] == (raw, b"body" + raw)


def test_a_part_of_a_head_is_not_recognised() -> None:
    raw = POST % b" 12345"
    template = template_of(raw)
    assert template is not None
    assert not any(template.recognise(raw[:end]) for end in range(len(raw)))


def test_a_head_that_more_digits_make_too_large_is_not_recognised() -> None:
    raw = POST % b" 1"
    first = template_of(raw)
    assert first is not None
    template = RequestTemplate(raw, first.head, first.route, first.query, len(raw) + 1)
    assert length_of(template, POST % b" 12") == b"12"
    assert template.recognise(POST % b" 123") is None
