"""The pattern for the commonest answer reads the same numbers as a JSON parser, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.usage.stated import _KNOWN, MAX_KNOWN_ENDS, stated_by, stated_model, sum_of
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import Usage

BARE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
FULL = {
    **BARE,
    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_a_common_answer_is_read_at_a_glance() -> None:
    body = compact(
        {"id": "c", "object": "chat.completion", "created": 5, "model": "gpt-x", "choices": [], "usage": FULL}
    )
    stated = stated_by(body)
    assert stated is not None
    assert sum_of([stated, stated]) == Usage(14, 6, 4, 10, 8)
    assert stated_model(body) == "gpt-x"
    more = compact({"id": "c", "usage": BARE, "service_tier": "default", "system_fingerprint": None})
    assert stated_by(more) == (b"7", b"5", b"0", b"0", b"0")


@pytest.mark.parametrize("usage", [BARE, FULL])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda usage: {"id": "c", "choices": [{"message": {"args": {"a": 1, "usage": usage}}}]},
        lambda usage: {"id": "c", "x": {"a": 1, "usage": usage}},
        lambda usage: {"id": "c", "x": [{"a": 1, "usage": usage}]},
        lambda usage: {"id": "c", "usage": usage, "x": {"a": 1}},
        lambda usage: {"id": "c", "text": compact({"a": 1, "usage": usage}).decode()},
    ],
    ids=["words", "inner", "listed", "followed", "quoted"],
)
def test_a_usage_anywhere_else_is_left_to_the_parser(usage: dict[str, Any], wrap: Any) -> None:
    assert stated_by(compact(wrap(usage))) is None


def test_a_second_usage_is_left_to_the_parser() -> None:
    body = compact({"id": "c", "usage": FULL})[:-1] + b',"usage":"none"}'
    assert stated_by(body) is None


def test_the_ends_that_are_remembered_are_bounded() -> None:
    for number in range(2 * MAX_KNOWN_ENDS):
        stated_by(compact({"id": "c", "usage": FULL, "system_fingerprint": f"fp_{number}"}))
    assert len(_KNOWN.ends) <= MAX_KNOWN_ENDS


@given(
    st.fixed_dictionaries(
        {}, optional={"model": st.text(max_size=9), "choices": st.just([]), "a": st.integers(0)}
    ),
    st.sampled_from([BARE, FULL]),
    st.dictionaries(
        st.text("abc_", min_size=1), st.none() | st.integers(0) | st.text() | st.just({}), max_size=4
    ),
)
def test_a_glance_never_differs_from_the_parser(before: Any, usage: Any, after: dict[str, Any]) -> None:
    body = compact({"id": "c", **before, "usage": usage, **after})
    stated = stated_by(body)
    reading = UsageTap(body).read()
    if stated is not None:
        assert sum_of([stated]) == reading.usage
        assert stated_model(body) in {"", reading.model}
