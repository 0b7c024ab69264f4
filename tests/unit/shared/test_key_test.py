"""The wire of key tests: each side reads the other's messages, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.key_test import (
    STEPS,
    KeyTestError,
    KeyTestRequest,
    KeyTestResponse,
    KeyTestStep,
    StepStatus,
    decode_key_test_request,
    decode_key_test_response,
    encode_key_test_request,
    encode_key_test_response,
    verdict_of,
)

REQUEST = KeyTestRequest("acme", "openai", "epoch-1", 7)
TRIED = KeyTestResponse(
    "tried",
    endpoint="https://api.openai.com/v1",
    steps=tuple(KeyTestStep(step, "ok", "Fine.", 0.25) for step in STEPS),
)


def test_a_request_arrives_as_it_was_sent() -> None:
    assert decode_key_test_request(encode_key_test_request(REQUEST)) == REQUEST


@pytest.mark.parametrize(
    "answer",
    [
        TRIED,
        KeyTestResponse("not_yet"),
        KeyTestResponse("not_set_up"),
        KeyTestResponse("busy"),
        KeyTestResponse("key_unavailable", detail="there is no such version"),
    ],
    ids=lambda answer: str(answer.outcome),
)
def test_every_answer_arrives_as_it_was_sent(answer: KeyTestResponse) -> None:
    assert decode_key_test_response(encode_key_test_response(answer)) == answer


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
    body = json.loads(encode_key_test_request(REQUEST)) | change
    with pytest.raises(KeyTestError, match=r"^not a key test request of schema 1: 1 faults$"):
        decode_key_test_request(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"null", b'{"outcome": "tried"'])
def test_what_is_no_message_at_all_is_refused(data: bytes) -> None:
    for decode in (decode_key_test_request, decode_key_test_response):
        with pytest.raises(KeyTestError):
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
def test_an_answer_has_the_steps_of_its_outcome(answer: KeyTestResponse) -> None:
    with pytest.raises(KeyTestError, match="the steps of a key test"):
        decode_key_test_response(encode_key_test_response(answer))


@pytest.mark.parametrize("field", ["detail", "endpoint"])
def test_texts_of_an_answer_are_bounded(field: str) -> None:
    body = json.loads(encode_key_test_response(TRIED)) | {field: "x" * 5000}
    with pytest.raises(KeyTestError):
        decode_key_test_response(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "verdict"), [("ok", "valid"), ("failed", "invalid"), ("unknown", "unknown")]
)
def test_authentication_alone_says_something_about_the_key(status: StepStatus, verdict: str) -> None:
    steps = [KeyTestStep(step, "failed", "") for step in STEPS]
    steps[2] = KeyTestStep("authentication", status, "")
    assert verdict_of(tuple(steps)) == verdict


def test_without_authentication_nothing_is_known_of_the_key() -> None:
    assert verdict_of((KeyTestStep("dns", "failed", ""),)) == "unknown"
