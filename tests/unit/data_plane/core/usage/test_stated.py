"""The pattern for the commonest answer reads the same numbers as a JSON parser, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.usage.stated import (
    _FORMS,
    _MODELS,
    MAX_KNOWN_ENDS,
    MAX_KNOWN_MODELS,
    TAIL_BYTES,
    stated_by,
    stated_model,
    sum_of,
)
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
    stated, tier = stated_by(body)
    assert sum_of(stated + stated) == Usage(14, 6, 4, 10, 8)
    assert (stated_model(body), tier) == ("gpt-x", "")
    more = compact({"id": "c", "usage": BARE, "service_tier": "default", "system_fingerprint": None})
    for _ in range(2):
        stated, tier = stated_by(more)
        assert (sum_of(stated), stated_model(more), tier) == (Usage(7, 0, 0, 5, 0), "", "default")


@pytest.mark.parametrize(
    "model", ["gpt-x", "a/b:c", "模型", "x" * 128, "x" * 129, 'a"b', "a\\b", "a\x7f", "a\nb", "", 5, None]
)
@pytest.mark.parametrize("place", range(4))
def test_a_model_is_named_as_the_parser_names_it_or_left_to_the_parser(model: object, place: int) -> None:
    members: list[tuple[str, object]] = [("id", "c"), ("object", "model"), ("choices", [{"a": 1}])]
    members.insert(place, ("model", model))
    body = json.dumps({**dict(members), "usage": FULL}, separators=(",", ":"), ensure_ascii=False).encode()
    for _ in range(2):
        assert stated_model(body) in {UsageTap(body).read().model, None}
    plain = compact({"model": "gpt-x", "provider": "p", "choices": [], "usage": FULL})
    assert stated_model(plain) == "gpt-x"


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
    assert not stated_by(compact(wrap(usage)))[0]


def test_a_second_usage_is_left_to_the_parser() -> None:
    body = compact({"id": "c", "usage": FULL})[:-1] + b',"usage":"none"}'
    assert not stated_by(body)[0]


def test_a_detail_stated_twice_is_left_to_the_parser() -> None:
    body = compact({"id": "c", "usage": FULL}).replace(b'"audio_tokens":0}}}', b'"reasoning_tokens":9}}}')
    assert body.endswith(b'"reasoning_tokens":9}}}')
    assert not stated_by(body)[0]


def test_a_usage_far_before_the_end_is_left_to_the_parser() -> None:
    end = {f"{chr(97 + number)}": "x" * 90 for number in range(5)}
    body = compact({"id": "c", "usage": BARE, **end})
    assert len(body) > TAIL_BYTES
    assert not stated_by(body)[0]


def test_the_remembered_ends_and_models_are_bounded() -> None:
    for number in range(2 * MAX_KNOWN_ENDS):
        for usage in (BARE, FULL):
            body = {"model": f"m{number}", "usage": usage, "system_fingerprint": f"fp_{number}"}
            assert stated_by(compact({"id": "c", **body}))[0]
            assert stated_model(compact({"id": "c", **body})) == f"m{number}"
    assert all(len(form.tiers) <= MAX_KNOWN_ENDS for form in _FORMS)
    assert len(_MODELS) <= MAX_KNOWN_MODELS


@given(
    st.fixed_dictionaries(
        {}, optional={"model": st.text(max_size=9), "choices": st.just([]), "a": st.integers(0)}
    ),
    st.sampled_from([BARE, FULL]),
    st.dictionaries(
        st.text("abc_", min_size=1) | st.just("service_tier"),
        st.none() | st.integers(0) | st.text() | st.just({}),
        max_size=4,
    ),
)
def test_a_glance_never_differs_from_the_parser(before: Any, usage: Any, after: dict[str, Any]) -> None:
    body = compact({"id": "c", **before, "usage": usage, **after})
    stated, tier = stated_by(body)
    reading = UsageTap(body).read()
    if stated:
        assert (sum_of(stated), tier) == (reading.usage, reading.service_tier)
        assert stated_model(body) in {reading.model, None}
