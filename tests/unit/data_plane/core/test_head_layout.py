"""Reading a head by its layout gives exactly what reading it line by line gives, and is learned with care."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.field_lines import BadFields, cut_fields
from services.data_plane.core.head_layout import (
    MAX_COMPILED_PER_CONNECTION,
    MAX_LAYOUTS,
    REPEATS_BEFORE_COMPILING,
    HeadLayout,
    LayoutMemo,
    LayoutShelf,
)
from services.data_plane.core.header_rules import RESPONSE_FIELDS, response_rule

STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
NAMES = st.lists(
    st.sampled_from(
        (
            b"Date",
            b"Content-Length",
            b"content-type",
            b"Set-Cookie",
            b"Connection",
            b"X-Request-ID",
            b"X-A.b+c*d",
        )
    ),
    max_size=8,
)
VALUES = st.binary(max_size=12) | st.sampled_from(
    (b" 1", b"\t", b" a: b\t", b"x\r", b"x\n", b"\x00", b"\xff")
)


def _head(names: list[bytes], values: list[bytes]) -> bytes:
    lines = [name + b":" + value for name, value in zip(names, values, strict=True)]
    return STATUS_LINE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@given(names=NAMES, data=st.data())
def test_a_layout_reads_what_line_by_line_reads_and_refuses_what_that_refuses(
    names: list[bytes], data: st.DataObject
) -> None:
    layout = HeadLayout(names, response_rule)
    head = _head(names, [data.draw(VALUES) for _ in names])
    read = layout.read(head, len(STATUS_LINE))
    try:
        lines, kept, noted = cut_fields(head, len(STATUS_LINE), RESPONSE_FIELDS)
    except BadFields:
        assert read is None
        return
    if len(lines) != len(names):
        return  # a value that held a line end made more lines: another layout
    assert read is not None
    blocks, noted_by_layout = read
    assert b"\r\n".join(blocks) == b"\r\n".join(kept)
    assert noted_by_layout == noted


@given(names=NAMES, other=NAMES, data=st.data())
def test_a_layout_reads_no_head_of_another_layout(
    names: list[bytes], other: list[bytes], data: st.DataObject
) -> None:
    head = _head(other, [data.draw(st.just(b" 1")) for _ in other])
    assert (HeadLayout(names, response_rule).read(head, len(STATUS_LINE)) is not None) == (names == other)


def test_a_layout_is_compiled_only_when_it_repeats() -> None:
    memo = LayoutMemo(LayoutShelf(response_rule))
    for _ in range(REPEATS_BEFORE_COMPILING - 1):
        memo.learn([b"A: 1", b"B: 2"])
        assert memo.layout is None
    memo.learn([b"A: 3", b"B: 4"])
    assert memo.layout is not None
    assert memo.layout.read(STATUS_LINE + b"A: 5\r\nB: 6\r\n\r\n", len(STATUS_LINE)) == (
        [b"A: 5\r\nB: 6"],
        {},
    )


def test_a_provider_that_keeps_changing_is_read_line_by_line_after_a_few() -> None:
    shelf = LayoutShelf(response_rule)
    memo = LayoutMemo(shelf)
    for number in range(3 * MAX_COMPILED_PER_CONNECTION):
        for _ in range(REPEATS_BEFORE_COMPILING):
            memo.learn([b"X-%d: 1" % number])
    assert len(shelf._layouts) == MAX_COMPILED_PER_CONNECTION


def test_layouts_are_shared_and_bounded() -> None:
    shelf = LayoutShelf(response_rule)
    assert shelf.get((b"A",)) is shelf.get((b"A",))
    for number in range(2 * MAX_LAYOUTS):
        shelf.get((b"X-%d" % number,))
    assert len(shelf._layouts) == MAX_LAYOUTS
