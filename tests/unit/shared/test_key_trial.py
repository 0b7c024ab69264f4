"""The wire of trials: what one side writes the other reads, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.key_trial import (
    STEPS,
    StepStatus,
    TrialAnswer,
    TrialError,
    TrialRequest,
    TrialStep,
    decode_trial_answer,
    decode_trial_request,
    encode_trial_answer,
    encode_trial_request,
    verdict_of,
)

REQUEST = TrialRequest("acme", "openai", "epoch-1", 7)
TRIED = TrialAnswer(
    "tried",
    endpoint="https://api.openai.com/v1",
    steps=tuple(TrialStep(step, "ok", "Fine.", 0.25) for step in STEPS),
)


def test_a_request_arrives_as_it_was_sent() -> None:
    assert decode_trial_request(encode_trial_request(REQUEST)) == REQUEST


@pytest.mark.parametrize(
    "answer",
    [
        TRIED,
        TrialAnswer("not_yet"),
        TrialAnswer("not_set_up"),
        TrialAnswer("busy"),
        TrialAnswer("key_unavailable", detail="there is no such version"),
    ],
    ids=lambda answer: str(answer.outcome),
)
def test_every_answer_arrives_as_it_was_sent(answer: TrialAnswer) -> None:
    assert decode_trial_answer(encode_trial_answer(answer)) == answer


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"org": ""},
        {"org": "x" * 129},
        {"provider": "other"},
        {"revision": -1},
        {"revision": "7"},
        {"epoch": "x" * 65},
        {"epoch": None},
    ],
    ids=str,
)
def test_a_request_of_another_shape_is_refused_without_a_word_of_it(change: dict[str, object]) -> None:
    body = json.loads(encode_trial_request(REQUEST)) | change
    with pytest.raises(TrialError, match=r"^not a trial request of schema 1: 1 faults$"):
        decode_trial_request(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"null", b'{"outcome": "tried"'])
def test_what_is_no_message_at_all_is_refused(data: bytes) -> None:
    for decode in (decode_trial_request, decode_trial_answer):
        with pytest.raises(TrialError):
            decode(data)


@pytest.mark.parametrize(
    "answer",
    [
        replace(TRIED, steps=TRIED.steps[:3]),
        replace(TRIED, steps=TRIED.steps[::-1]),
        replace(TRIED, steps=()),
        replace(TRIED, outcome="not_yet"),
    ],
)
def test_an_answer_has_the_steps_of_its_outcome(answer: TrialAnswer) -> None:
    with pytest.raises(TrialError, match="the steps of a trial"):
        decode_trial_answer(encode_trial_answer(answer))


@pytest.mark.parametrize("field", ["detail", "endpoint"])
def test_texts_of_an_answer_are_bounded(field: str) -> None:
    body = json.loads(encode_trial_answer(TRIED)) | {field: "x" * 5000}
    with pytest.raises(TrialError):
        decode_trial_answer(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "verdict"), [("ok", "valid"), ("failed", "invalid"), ("unknown", "unknown")]
)
def test_authentication_alone_says_something_about_the_key(status: StepStatus, verdict: str) -> None:
    steps = [TrialStep(step, "failed", "") for step in STEPS]
    steps[2] = TrialStep("authentication", status, "")
    assert verdict_of(tuple(steps)) == verdict


def test_without_authentication_nothing_is_known_of_the_key() -> None:
    assert verdict_of((TrialStep("dns", "failed", ""),)) == "unknown"
