"""The `traceparent` header, by the rules of W3C Trace Context."""

from __future__ import annotations

import pytest

from services.data_plane.account.trace_context import TraceParent, parse_trace_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "said"), [("01", "sampled"), ("00", ""), ("03", "sampled"), ("fe", "")])
def test_a_valid_value_names_trace_and_span(flags: str, said: str) -> None:
    value = f"00-{TRACE}-{SPAN}-{flags}".encode()
    assert parse_trace_parent(value) == TraceParent(TRACE, SPAN, is_sampled=bool(said))


def test_a_later_version_may_have_more_fields() -> None:
    assert parse_trace_parent(f"01-{TRACE}-{SPAN}-01-later".encode()) == TraceParent(
        TRACE, SPAN, is_sampled=True
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"01-{TRACE}-{SPAN}-01later",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_any_other_value_begins_a_new_trace(value: str) -> None:
    assert parse_trace_parent(value.encode()) is None
