"""Reading by template gives the same answer as reading line by line, and is learned with care."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.data_plane.core.framing import ChunkedFraming, LengthFraming
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.response_head import BadResponse, ResponseHead, parse_response_head
from services.data_plane.core.response_templates import (
    HEADS_PER_COMPILING,
    MAX_ENDPOINTS,
    MAX_TEMPLATE_BYTES,
    MAX_TEMPLATES,
    MAX_TEMPLATES_PER_ENDPOINT,
    REPEATS_BEFORE_COMPILING,
    EndpointTemplates,
    ResponseTemplate,
    TemplateStore,
    template_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.data_plane.core.framing import Framing

LIMITS = RelayLimits()
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
NAMES = st.lists(
    st.sampled_from((b"Date", b"content-type", b"Set-Cookie", b"Connection", b"X-A.b+c*d", b"request-id")),
    max_size=6,
)
FRAMED = st.sampled_from((b"Content-Length", b"content-length", b"Transfer-Encoding"))
VALUES = st.binary(max_size=12) | st.sampled_from(
    (b" 1", b"\t", b" a: b\t", b"x\r", b"x\n", b"\x00", b"\xff", b" keep-alive", b"chunked ", b"0", b" 007\t")
)


def _head(names: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    lines = [name + b":" + value for name, value in zip(names, values, strict=True)]
    return STATUS_LINE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _described(head: ResponseHead) -> dict[str, object]:
    """The whole content of a head, in a comparable form."""
    said = {field.name: getattr(head, field.name) for field in fields(head)}
    return said | {"kept": b"\r\n".join(head.kept), "framing": _framing(head.framing)}


def _framing(framing: Framing | None) -> object:
    return framing.left if isinstance(framing, LengthFraming) else type(framing)


@given(
    names=NAMES,
    framed=FRAMED,
    at=st.integers(0, 6),
    method=st.sampled_from((b"POST", b"HEAD")),
    data=st.data(),
)
def test_a_template_reads_what_line_by_line_reads_or_nothing(
    names: list[bytes], framed: bytes, at: int, method: bytes, data: st.DataObject
) -> None:
    names.insert(at, framed)
    key = template_key(STATUS_LINE, [name + b":" for name in names])
    assume(key is not None)
    assert key is not None
    raw = _head(names, [data.draw(VALUES) for _ in names])
    behind = data.draw(VALUES)
    by_template = ResponseTemplate(key, 200, b" OK").read(raw + behind, method, LIMITS.max_head_bytes)
    if by_template is not None:
        head, end = by_template
        raw = raw[: raw.index(b"\r\n\r\n") + 4]  # a value may hold the empty line that ends the head
        assert end == len(raw)
        assert _described(head) == _described(parse_response_head(raw, method, LIMITS.max_head_fields))


@given(
    names=NAMES, at=st.integers(0, 6), length=st.integers(0, 10**18 - 1), text=st.text("ab :\t", max_size=8)
)
def test_a_template_reads_every_ordinary_answer_that_has_it(
    names: list[bytes], at: int, length: int, text: str
) -> None:
    names.insert(at, b"Content-Length")
    key = template_key(STATUS_LINE, [name + b":" for name in names])
    assume(key is not None)
    assert key is not None
    ordinary = {b"Content-Length": b" %d" % length, b"Connection": b"keep-alive"}
    raw = _head(names, [ordinary.get(name, text.encode()) for name in names])
    assert ResponseTemplate(key, 200, b" OK").read(raw, b"POST", len(raw)) is not None
    assert ResponseTemplate(key, 200, b" OK").read(raw, b"POST", len(raw) - 1) is None, "too large"
    assert ResponseTemplate(key, 200, b" OK").read(raw[:-1], b"POST", len(raw)) is None, "not whole"


def test_a_chunked_answer_gets_a_framing_of_its_own_each_time() -> None:
    key = template_key(STATUS_LINE, [b"transfer-encoding: chunked"])
    assert key is not None
    template = ResponseTemplate(key, 200, b" OK")
    raw = _head([b"transfer-encoding"], [b" Chunked"])
    first, second = template.read(raw, b"GET", len(raw)), template.read(raw, b"GET", len(raw))
    assert first is not None
    assert second is not None
    assert isinstance(first[0].framing, ChunkedFraming)
    assert first[0].framing is not second[0].framing


@pytest.mark.parametrize(
    "names",
    [
        (b"Content-Length", b"Location"),
        (b"Content-Length", b"Upgrade"),
        (b"Content-Length", b"Sec-WebSocket-Protocol"),
        (b"Content-Length", b"content-length"),
        (b"Content-Length", b"Transfer-Encoding"),
        (b"Date",),
        (),
    ],
)
def test_an_answer_that_is_not_ordinary_has_no_template(names: tuple[bytes, ...]) -> None:
    assert template_key(STATUS_LINE, [name + b": 1" for name in names]) is None


@pytest.mark.parametrize(
    "other",
    [
        b"HTTP/1.1 201 OK\r\nDate: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nDate: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 1\r\nDate: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDATE: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 1, 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate : 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: 1\r\n folded\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: 1\nContent-Length: 1\r\n\r\n",
    ],
)
def test_a_template_reads_no_head_of_another_template(other: bytes) -> None:
    key = template_key(STATUS_LINE, [b"Date: 1", b"Content-Length: 1"])
    assert key is not None
    assert ResponseTemplate(key, 200, b" OK").read(other, b"POST", LIMITS.max_head_bytes) is None


def _read(known: EndpointTemplates, raw: bytes) -> ResponseHead | None:
    found = known.read(raw, b"POST", LIMITS.max_head_bytes)
    return found and found[0]


def _answer(known: EndpointTemplates, raw: bytes) -> None:
    """Read an answer as a connection does."""
    if _read(known, raw) is None:
        known.learn(raw, parse_response_head(raw, b"POST", LIMITS.max_head_fields))


def test_a_template_is_compiled_only_when_it_repeats() -> None:
    known = EndpointTemplates(TemplateStore())
    for number in range(REPEATS_BEFORE_COMPILING):
        assert known.template is None
        _answer(known, STATUS_LINE + b"A: %d\r\nContent-Length: 5\r\n\r\n" % number)
    assert known.template is not None
    head = _read(known, STATUS_LINE + b"A: 9\r\nContent-Length: 6\r\n\r\n")
    assert head is not None
    assert head.kept == [b"A: 9\r\nContent-Length: 6"]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 307 Go\r\nContent-Length: 5\r\nLocation: /x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
    ],
)
def test_no_template_is_learned_from_an_answer_that_is_not_ordinary(raw: bytes) -> None:
    known = EndpointTemplates(TemplateStore())
    for _ in range(REPEATS_BEFORE_COMPILING + 1):
        _answer(known, raw)
    assert known.template is None


def test_a_head_with_too_many_lines_is_refused_and_not_learned() -> None:
    known = EndpointTemplates(TemplateStore())
    raw = STATUS_LINE + b"Content-Length: 1\r\n" + b"A: 1\r\n" * LIMITS.max_head_fields + b"\r\n"
    for _ in range(REPEATS_BEFORE_COMPILING + 1):
        with pytest.raises(BadResponse):
            _answer(known, raw)
    assert known.template is None


def _learn(known: EndpointTemplates, raw: bytes) -> None:
    for _ in range(REPEATS_BEFORE_COMPILING):
        _answer(known, raw)


def _of_template(number: int) -> bytes:
    return STATUS_LINE + b"X-%d: 1\r\nContent-Length: 5\r\n\r\n" % number


def test_a_template_is_learned_from_answers_that_come_in_turn_with_others() -> None:
    store = TemplateStore()
    known = EndpointTemplates(store)
    for _ in range(REPEATS_BEFORE_COMPILING):
        _answer(known, _of_template(1))
        _answer(known, _of_template(2))
    assert len(store) == 2


def test_a_endpoint_knows_several_templates_and_tries_the_latest_first() -> None:
    known = EndpointTemplates(TemplateStore())
    for number in range(MAX_TEMPLATES_PER_ENDPOINT):
        _learn(known, _of_template(number))
    for number in range(MAX_TEMPLATES_PER_ENDPOINT):
        assert _read(known, _of_template(number)) is not None
        assert known.template is not None
        assert known.template.read(_of_template(number), b"POST", LIMITS.max_head_bytes) is not None
    assert _read(known, _of_template(MAX_TEMPLATES_PER_ENDPOINT)) is None


def test_a_provider_that_keeps_changing_is_mostly_read_line_by_line_after_a_few() -> None:
    store = TemplateStore()
    known = EndpointTemplates(store)
    for number in range(3 * MAX_TEMPLATES_PER_ENDPOINT):
        _learn(known, _of_template(number))
    assert len(store) == MAX_TEMPLATES_PER_ENDPOINT
    for number in range(HEADS_PER_COMPILING):
        _answer(known, STATUS_LINE + b"Y-%d: 1\r\nContent-Length: 5\r\n\r\n" % number)
    _learn(known, _of_template(99))
    _learn(known, _of_template(98))
    assert len(store) == MAX_TEMPLATES_PER_ENDPOINT + 1


def test_a_template_that_its_answers_never_quite_fit_is_held_once() -> None:
    known = EndpointTemplates(TemplateStore())
    for number in range(MAX_TEMPLATES_PER_ENDPOINT - 1):
        _learn(known, _of_template(number))
    odd = STATUS_LINE + b"Connection: keep-alive, x\r\nContent-Length: 5\r\n\r\n"
    for _ in range(HEADS_PER_COMPILING + 2 * REPEATS_BEFORE_COMPILING):
        _answer(known, odd)
    assert _read(known, _of_template(0)) is not None


def test_a_template_of_very_long_names_is_not_learned() -> None:
    known = EndpointTemplates(TemplateStore())
    names = b"".join(b"%b%d: 1\r\n" % (b"x" * 200, number) for number in range(MAX_TEMPLATE_BYTES // 200 + 1))
    _learn(known, STATUS_LINE + names + b"Content-Length: 5\r\n\r\n")
    assert known.template is None


def test_a_new_connection_begins_with_what_the_others_to_its_endpoint_learned() -> None:
    store = TemplateStore()
    _learn(store.endpoint(("an org", "an endpoint")), _of_template(1))
    assert store.endpoint(("an org", "an endpoint")).template is not None
    assert store.endpoint(("another org", "an endpoint")).template is None
    assert store.endpoint(("an org", "another endpoint")).template is None


def test_what_is_known_of_an_endpoint_is_forgotten_when_there_are_too_many() -> None:
    store = TemplateStore()
    first, second = store.endpoint(1), store.endpoint(2)
    for owner in range(3, MAX_ENDPOINTS + 1):
        store.endpoint(owner)
    assert store.endpoint(1) is first
    store.endpoint("one too many")
    assert store.endpoint(1) is first
    assert store.endpoint(2) is not second


def test_templates_are_shared_and_bounded() -> None:
    store = TemplateStore()
    key = (STATUS_LINE, b"Content-Length")
    assert store.get(key, 200, b" OK") is store.get(key, 200, b" OK")
    for number in range(2 * MAX_TEMPLATES):
        store.get((STATUS_LINE, b"X-%d" % number, b"Content-Length"), 200, b" OK")
    assert len(store) == MAX_TEMPLATES
