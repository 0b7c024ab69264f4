"""Google's counts, from a document, from events and from an array, whole and cut off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.data_plane.core.usage.frames import frames_of
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage

SAID = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "toolUsePromptTokenCount": 7,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 157,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
}
USAGE = Usage(107, 60, 0, 50, 30)
MODEL = "gemini-2.5-flash"


def answer(
    said: dict[str, Any] | None = SAID, text: str = "hi", reason: str | None = "STOP"
) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}]}} | ({"finishReason": reason} if reason else {})
    usage = {} if said is None else {"usageMetadata": said}
    return {"candidates": [candidate], **usage, "modelVersion": MODEL, "responseId": "r"}


def read(body: bytes, *, step: int = 999, is_whole: bool = True, shape: str = "gemini") -> Reading:
    tap = UsageTap()
    for at in range(0, len(body), step):
        tap.take(body[at : at + step])
    return tap.read(SHAPES[shape], is_whole=is_whole)


def events(*objects: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in objects)


def array(*objects: dict[str, Any], indent: int | None = 2) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(one, indent=indent).encode() for one in objects) + b"\n]\n"


FIRST = answer({"promptTokenCount": 100, "totalTokenCount": 100}, reason=None)


@pytest.mark.parametrize("step", [1, 7, 999, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        json.dumps(answer()).encode(),
        json.dumps(answer(), indent=2).encode(),
        json.dumps(answer(text="x" * 200_000)).encode(),
        events(FIRST, answer()),
        events(FIRST, answer(text="x" * 100_000)),
        array(FIRST, answer()),
        array(FIRST, answer(), indent=None),
        array(*[FIRST] * 500, answer(text="]}" * 9_000)),
    ],
)
def test_every_form_of_an_answer_states_the_same_counts(body: bytes, step: int) -> None:
    if step == 1:
        body = body[:20_000] if len(body) <= 20_000 else body
        step = 1 if len(body) <= 20_000 else 500
    assert read(body, step=step) == Reading(USAGE, MODEL)


@pytest.mark.parametrize(
    "body", [events(FIRST), array(FIRST)[:-3], json.dumps(answer()).encode()[:-40], b"[", b'[{"candidates":']
)
def test_an_answer_that_was_cut_off_states_nothing(body: bytes) -> None:
    assert read(body, is_whole=False).usage is NoUsage.CUT


def test_a_stream_that_ended_every_candidate_is_counted_though_its_connection_broke() -> None:
    assert read(events(FIRST, answer()), is_whole=False).usage == USAGE


@pytest.mark.parametrize(
    "body", [b"[]", array(answer(None)), json.dumps(answer(None)).encode(), events(answer(None))]
)
def test_an_answer_without_counts_states_none(body: bytes) -> None:
    assert read(body).usage is NoUsage.ABSENT


@pytest.mark.parametrize(
    "change", [{"promptTokenCount": "7"}, {"promptTokenCount": None}, {"totalTokenCount": 3}]
)
def test_counts_that_contradict_each_other_are_incomplete(change: dict[str, Any]) -> None:
    assert read(json.dumps(answer({**SAID, **change})).encode()).usage is NoUsage.INCOMPLETE


def test_a_zero_that_is_not_written_is_a_zero() -> None:
    said = {"promptTokenCount": 5, "totalTokenCount": 5}
    assert read(json.dumps(answer(said)).encode()).usage == Usage(5, 0, 0, 0, 0)


@pytest.mark.parametrize("shape", ["openai", "anthropic"])
def test_other_providers_have_no_arrays_with_counts(shape: str) -> None:
    body = json.dumps([{"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}]).encode()
    assert read(body, shape=shape).usage is NoUsage.ABSENT


def compatible(prompt: int, wrote: int, total: int, **more: Any) -> dict[str, Any]:
    """An answer of `/v1beta/openai/chat/completions`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    said = {"completion_tokens": wrote, "prompt_tokens": prompt, "total_tokens": total, **more}
    return {"choices": [choice], "id": "r", "model": MODEL, "object": "chat.completion", "usage": said}


def chunks(*answers: dict[str, Any]) -> bytes:
    return events(*(one | {"object": "chat.completion.chunk"} for one in answers)) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("prompt", "wrote", "total", "more", "usage"),
    [
        (8, 10, 18, {}, Usage(8, 0, 0, 10, 0)),
        (8, 10, 518, {}, Usage(8, 0, 0, 510, 500)),
        (8, 10, 518, {"completion_tokens_details": {"reasoning_tokens": 500}}, Usage(8, 0, 0, 510, 500)),
        (8, 10, 18, {"completion_tokens_details": {"reasoning_tokens": 4}}, Usage(8, 0, 0, 10, 4)),
        (8, 10, 17, {}, NoUsage.INCOMPLETE),
    ],
)
def test_an_answer_in_openais_shape_counts_the_thoughts_of_its_total(
    prompt: int, wrote: int, total: int, more: dict[str, Any], usage: Usage | NoUsage, step: int
) -> None:
    one = compatible(prompt, wrote, total, **more)
    begun = compatible(prompt, 0, prompt) | {"choices": [{"index": 0, "delta": {"content": "h"}}]}
    for body in (json.dumps(one).encode(), json.dumps(one, indent=1).encode(), chunks(begun, one)):
        reading = read(body, step=step)
        assert (reading.usage, reading.model) == (usage, MODEL)


def test_a_stream_in_openais_shape_that_was_cut_off_states_nothing() -> None:
    begun = compatible(8, 1, 9) | {"choices": [{"index": 0, "delta": {"content": "h"}}]}
    body = events(begun | {"object": "chat.completion.chunk"})
    assert read(body, is_whole=False).usage is NoUsage.CUT


@pytest.mark.parametrize("kind", [1, 2])
def test_every_turn_of_a_live_websocket_counts_in_text_or_binary_messages(kind: int) -> None:
    """Google's live API sends its JSON in binary messages."""
    turn = {"promptTokenCount": 5, "responseTokenCount": 7, "totalTokenCount": 12}
    messages: list[dict[str, Any]] = [
        {"setupComplete": {}},
        {"serverContent": {"modelTurn": {"parts": [{"text": '"usageMetadata": {"promptTokenCount": 99}'}]}}},
        {"serverContent": {"turnComplete": True}, "usageMetadata": turn},
        {"serverContent": {"turnComplete": True}, "usageMetadata": turn | {"cachedContentTokenCount": 2}},
    ]
    tap = UsageTap(frames=frames_of([], SHAPES["gemini"]))
    for message in messages:
        data = json.dumps(message, indent=1).encode()
        tap.take(bytes([0x80 | kind, 126]) + len(data).to_bytes(2) + data)
    assert tap.read(SHAPES["gemini"]).usage == Usage(10, 2, 0, 14, 0)
