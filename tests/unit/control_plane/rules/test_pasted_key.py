"""Text pasted around a key, by the table of cases also used for the Portal's own rules."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control_plane.rules.endpoint import default_endpoint
from services.control_plane.rules.key import judge_key
from services.control_plane.rules.key_kinds import KEY_STARTS, KeyStart, key_starts
from services.control_plane.rules.pasted_key import clean_key
from services.control_plane.rules.problems import Problem, ProblemError
from shared.endpoint import parse_endpoint
from shared.providers import PROVIDERS, Credential, KeyShape
from shared.secret import Secret

ROOT: Final = Path(__file__).resolve().parents[4]
CASES: Final = json.loads((ROOT / "tests" / "corpus" / "pasted_keys.json").read_text())


@pytest.mark.parametrize("case", CASES["cleaned"], ids=lambda case: repr(case["pasted"]))
def test_what_surrounds_a_key_is_left_out_and_named(case: dict[str, Any]) -> None:
    cleaned = clean_key(case["pasted"])
    assert (cleaned.text, list(cleaned.left_out)) == (case["key"], case["left_out"])


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: repr(case["key"]))
def test_what_cannot_be_a_key_is_refused_with_the_reason(case: dict[str, Any]) -> None:
    with pytest.raises(ProblemError) as caught:
        judge_key("openai", Secret(case["key"]), default_endpoint("openai"), is_own=True)
    assert caught.value.problem is Problem.KEY_REFUSED
    assert case["because"] in caught.value.detail


@pytest.mark.parametrize("case", CASES["warned"], ids=lambda case: f"{case['key']} at {case['endpoint']}")
def test_one_warning_names_what_looks_wrong(case: dict[str, Any]) -> None:
    own = default_endpoint(case["provider"])
    endpoint = parse_endpoint(case["endpoint"]) if case["endpoint"] else own
    warnings = judge_key(case["provider"], Secret(case["key"]), endpoint, is_own=endpoint == own).warnings
    assert len(warnings) == bool(case["warning"])
    assert case["warning"].lower() in "".join(warnings).lower()


def test_what_was_left_out_is_a_warning_that_repeats_nothing_of_the_key() -> None:
    pasted = Secret("export OPENAI_API_KEY='sk-proj-AbCd0123efgh'")
    judged = judge_key("openai", pasted, default_endpoint("openai"), is_own=True)
    assert judged.key.reveal() == "sk-proj-AbCd0123efgh"
    assert judged.warnings == ("Left out of what was pasted: the variable's name, quotes.",)


@given(st.from_regex(re.compile(r"sk-[A-Za-z0-9_-]{8,80}"), fullmatch=True))
def test_a_key_as_providers_make_them_is_never_touched(key: str) -> None:
    assert clean_key(key).text == key
    assert clean_key(f'export NAME="{key}",').text == key


@given(st.text(max_size=200))
def test_cleaning_ends_for_any_text_and_adds_nothing(text: str) -> None:
    assert clean_key(text).text in text or "invisible characters" in clean_key(text).left_out


def test_a_longer_start_of_keys_comes_before_a_shorter_one() -> None:
    for at, one in enumerate(KEY_STARTS):
        assert not any(later.start.startswith(one.start) for later in KEY_STARTS[at + 1 :]), one.start


def test_a_providers_row_brings_the_starts_of_its_keys_and_takes_those_of_its_vendor_over() -> None:
    google = replace(
        PROVIDERS["openai"],
        title="Google Gemini",
        company="Google",
        keys=(KeyShape("gemini", "AIza", Credential("x-goog-api-key")),),
        admin_keys=("AIza-admin-",),
        key_hosts=("googleapis.com",),
    )
    found = {one.start: one for one in key_starts((google,))}
    assert found["AIza"] == KeyStart("AIza", "Google", google.name, ("googleapis.com",))
    assert found["AIza-admin-"].administers
    assert found["gsk_"].provider is None
