"""The meaning of 401 and 403: every rule of every provider, and claims no rule may be talked into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import PROVIDERS, ProviderName
from shared.refusals import COMMON_REFUSALS, MAX_REASON_CHARS, Meaning, RefusalRule, refusal_of, stated_error

FILE = Path(__file__).parents[2] / "corpus" / "refusals" / "meanings.json"
MEANINGS = [tuple(row.values()) for row in json.loads(FILE.read_text())]


@pytest.mark.parametrize(("provider", "status", "body", "meaning"), MEANINGS)
def test_a_refusal_means_what_its_provider_means(
    provider: ProviderName, status: int, body: object, meaning: Meaning
) -> None:
    found = refusal_of(status, json.dumps(body).encode(), PROVIDERS[provider].refusals)
    assert found.meaning == meaning
    assert len(found.reason) <= MAX_REASON_CHARS


@pytest.mark.parametrize(
    "body", [b"", b"<html>invalid x-api-key</html>", b"[" * 100_000, b"\xff\x00", b"invalid x-api-key"]
)
def test_a_body_that_is_no_error_tells_nothing(body: bytes) -> None:
    for row in PROVIDERS.values():
        assert refusal_of(401, body, row.refusals).meaning == "unknown"


def test_every_rule_has_a_case_that_only_this_rule_judges_first() -> None:
    judged: dict[str, set[RefusalRule | None]] = {name: set() for name in PROVIDERS}
    for provider, status, body, _ in MEANINGS:
        stated, rules = stated_error(json.dumps(body).encode()), PROVIDERS[provider].refusals
        judged[provider].add(next((r for r in (*rules, *COMMON_REFUSALS) if r.applies(status, stated)), None))
    for name, row in PROVIDERS.items():
        assert [rule for rule in row.refusals if rule not in judged[name]] == []
    assert [rule for rule in COMMON_REFUSALS if not any(rule in found for found in judged.values())] == []


def test_every_rule_has_a_source_and_tests_something() -> None:
    for row in PROVIDERS.values():
        for rule in row.refusals:
            assert rule.source
            assert rule.code or rule.message


@given(
    st.text(max_size=300),
    st.sampled_from(["", "invalid x-api-key", "Invalid bearer token", "Invalid API key"]),
)
def test_words_around_a_sentence_about_the_key_do_not_make_one(chosen: str, sentence: str) -> None:
    """A provider may repeat a request's text; only its own whole sentence blames the key."""
    message = f"Unknown path /{chosen}{sentence}{chosen}x"
    body = json.dumps({"error": {"type": "authentication_error", "message": message}}).encode()
    assert refusal_of(401, body, PROVIDERS["anthropic"].refusals).meaning in {"unknown", "place"}
