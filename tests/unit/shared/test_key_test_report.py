"""The names of a key test's findings, and which of them speak about the key."""

from __future__ import annotations

import json

import pytest

from shared.key_test import STEPS, KeyTestStep, verdict_of
from shared.key_test_report import KeyTestReport


class Clock:
    """Moves a quarter of a second at every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture
def notes() -> KeyTestReport:
    return KeyTestReport("openai", Clock())


def statuses(notes: KeyTestReport) -> list[str]:
    assert [step.step for step in notes.steps()] == list(STEPS)
    assert all(step.detail.endswith(".") for step in notes.steps())
    return [step.status for step in notes.steps()]


def test_what_was_not_reached_is_skipped_and_took_no_time(notes: KeyTestReport) -> None:
    notes.note("dns", "failed", "The host's name does not exist.")
    assert statuses(notes) == ["failed", "skipped", "skipped", "skipped"]
    assert [step.seconds for step in notes.steps()] == [0.25, None, None, None]


def test_each_step_has_the_time_since_the_one_before(notes: KeyTestReport) -> None:
    notes.addresses(1)
    notes.connected(tls=True)
    assert notes.status(200)
    notes.models(b'{"data": []}')
    assert [step.seconds for step in notes.steps()] == [0.25] * 4


def test_nothing_is_measured_where_nothing_was_done(notes: KeyTestReport) -> None:
    notes.looked_up_by_proxy()
    notes.connected(tls=False)
    assert [step.seconds for step in notes.steps()] == [None] * 4
    assert statuses(notes) == ["skipped"] * 4


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "valid"), (204, "valid"), (401, "invalid"), (403, "unknown"), (101, "unknown"),
        (301, "unknown"), (400, "unknown"), (404, "unknown"), (407, "unknown"), (408, "unknown"),
        (421, "unknown"), (429, "unknown"), (500, "unknown"), (503, "unknown"), (529, "unknown"),
    ],
)  # fmt: skip
def test_only_an_unexplained_401_makes_a_key_invalid(notes: KeyTestReport, status: int, verdict: str) -> None:
    assert notes.status(status) is (verdict == "valid")
    assert verdict_of(notes.steps()) == verdict


@pytest.mark.parametrize(
    ("status", "message", "verdict", "model_list"),
    [
        (403, "OAuth token has been revoked. Please obtain a new token.", "invalid", "skipped"),
        (401, "invalid x-api-key", "invalid", "skipped"),
        (403, "OAuth token does not meet scope requirement user:profile", "valid", "unknown"),
        (401, "CORS requests must set a header", "unknown", "skipped"),
        (403, "OAuth authentication is currently not allowed for this organization.", "unknown", "skipped"),
    ],
)
def test_a_refusal_says_of_the_key_what_its_words_say(
    status: int, message: str, verdict: str, model_list: str
) -> None:
    notes = KeyTestReport("anthropic", lambda: 0.0)
    body = json.dumps({"type": "error", "error": {"type": "authentication_error", "message": message}})
    assert notes.status(status, body.encode()) is False
    assert (verdict_of(notes.steps()), statuses(notes)[3]) == (verdict, model_list)


def test_time_that_is_over_is_noted_at_the_step_that_was_under_way(notes: KeyTestReport) -> None:
    notes.addresses(2)
    notes.connected(tls=True)
    notes.too_late()
    assert statuses(notes) == ["ok", "ok", "unknown", "skipped"]
    notes.note("model_list", "unknown", "x.")
    before = notes.steps()
    notes.too_late()
    assert notes.steps() == before


@pytest.mark.parametrize(("count", "words"), [(0, "0 models"), (1, "1 model."), (2, "2 models")])
def test_models_are_counted(notes: KeyTestReport, count: int, words: str) -> None:
    notes.models(json.dumps({"data": [{"id": "a"}] * count}).encode())
    assert words in notes.steps()[3].detail


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b'{"data": 7}', b"\xff", b"[" * 100_000])
def test_what_is_no_list_of_models_says_so(notes: KeyTestReport, body: bytes | None) -> None:
    notes.models(body)
    assert notes.steps()[3] == KeyTestStep(
        "model_list", "unknown", "The answer is not a list of models.", 0.25
    )
