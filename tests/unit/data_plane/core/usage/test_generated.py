"""Answers of every shape, generated from the SDKs' own types, against a plain JSON reader: no difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import Message, MessageDeltaUsage
from anthropic.types.beta import BetaMessage, BetaMessageDeltaUsage
from google.genai.types import GenerateContentResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.audio import Transcription
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel

from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.stated import stated_by, stated_model, sum_of
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.support.sdk_values import objects_of

Json = dict[str, Any]
EXAMPLES = 1_000 if settings.default is not None and settings.default.max_examples >= 1_000 else 150
"""Of each shape: a thousand with `--hypothesis-profile=nightly`."""


def zero(value: Any) -> int:
    return value if isinstance(value, int) else 0


def plain_openai(usage: Json | None) -> Usage | None:
    """Read a usage as its documentation says, with nothing but dictionaries."""
    if usage is None or usage.get("type") == "duration":
        return None
    took = (
        usage.get("prompt_tokens_details")
        or usage.get("input_tokens_details")
        or usage.get("input_token_details")
        or {}
    )
    gave = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    read = usage["prompt_tokens"] if "prompt_tokens" in usage else usage["input_tokens"]
    wrote = usage.get("completion_tokens", usage.get("output_tokens"))
    if wrote is None:
        wrote = usage["total_tokens"] - read
    if wrote < 0:
        return None
    return Usage(
        read,
        zero(took.get("cached_tokens")),
        zero(took.get("cache_write_tokens")),
        wrote,
        zero(gave.get("reasoning_tokens")),
    )


def plain_gemini(usage: Json | None) -> Usage | None:
    if not usage or usage.get("promptTokenCount") is None:
        return None
    names = (
        "toolUsePromptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    )
    by_tools, cached, said, thought = (zero(usage.get(name)) for name in names)
    read, wrote = usage["promptTokenCount"] + by_tools, said + thought
    if zero(usage.get("totalTokenCount")) < read + wrote and usage.get("totalTokenCount") is not None:
        return None
    return Usage(read, cached, 0, wrote, thought)


def plain_anthropic(usage: Json) -> Usage:
    parts = usage.get("iterations") or [usage]
    total = [0] * 6
    for part in parts:
        lifetimes = part.get("cache_creation") or {}
        hour, five = (
            zero(lifetimes.get("ephemeral_1h_input_tokens")),
            zero(lifetimes.get("ephemeral_5m_input_tokens")),
        )
        cached = zero(part.get("cache_read_input_tokens"))
        written = max(zero(part.get("cache_creation_input_tokens")), hour + five)
        details = part.get("output_tokens_details") or {}
        read = part["input_tokens"] + cached + written
        counts = (
            read,
            cached,
            written,
            part["output_tokens"],
            zero(details.get("thinking_tokens")),
            min(hour, written),
        )
        total = [one + more for one, more in zip(total, counts, strict=True)]
    thinking = zero((usage.get("output_tokens_details") or {}).get("thinking_tokens"))
    total[4] = max(total[4], thinking)
    return Usage(*total)


def agrees(body: bytes, shape: str, expected: Usage | None, model: object, cuts: int) -> None:
    """Read an answer whole and in pieces, and compare."""
    for size in {cuts, len(body)}:
        tap = UsageTap()
        for at in range(0, len(body), size):
            tap.take(body[at : at + size])
        reading = tap.read(SHAPES[shape])
        if expected is None:
            assert isinstance(reading.usage, NoUsage)
        else:
            assert reading.usage == expected
            assert reading.model in {model, ""}
    stated, _tier = stated_by(body)
    if stated:
        assert sum_of(stated) == expected
        assert stated_model(body) in {model, None}


def stream(*events: Json) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)


generated = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
CUTS = st.integers(1, 4000)
COUNT = st.integers(0, 10**9)
DOCUMENTS: list[tuple[type[BaseModel], str, Callable[[Any], Usage | None]]] = [
    (ChatCompletion, "openai", plain_openai),
    (Completion, "openai", plain_openai),
    (Response, "openai", plain_openai),
    (CreateEmbeddingResponse, "openai", plain_openai),
    (ImagesResponse, "openai", plain_openai),
    (Transcription, "openai", plain_openai),
    (Message, "anthropic", plain_anthropic),
    (BetaMessage, "anthropic", plain_anthropic),
]


@pytest.mark.parametrize(
    ("model", "shape", "plain"), DOCUMENTS, ids=lambda one: getattr(one, "__name__", one)
)
def test_a_document_of_any_kind_is_read_as_plain_json_reads_it(
    model: type[BaseModel], shape: str, plain: Callable[[Any], Usage | None]
) -> None:
    @generated
    @given(objects_of(model), CUTS)
    def check(answer: Json, cuts: int) -> None:
        agrees(json.dumps(answer).encode(), shape, plain(answer.get("usage")), answer.get("model"), cuts)

    check()


@generated
@given(st.lists(objects_of(ChatCompletionChunk), min_size=1, max_size=4), CUTS)
def test_a_chat_stream_is_read_as_plain_json_reads_it(chunks: list[Json], cuts: int) -> None:
    said = [chunk for chunk in chunks if chunk.get("usage") is not None]
    body = stream(*chunks) + b"data: [DONE]\n\n"
    expected = plain_openai(said[-1]["usage"]) if said else None
    agrees(body, "openai", expected, said[-1].get("model") if said else "", cuts)


@generated
@given(objects_of(Response), CUTS)
def test_a_response_stream_is_read_as_plain_json_reads_it(answer: Json, cuts: int) -> None:
    body = stream(
        {"type": "response.created", "response": {**answer, "usage": None}},
        {"type": "response.completed", "response": answer},
    )
    agrees(body, "openai", plain_openai(answer.get("usage")), answer.get("model"), cuts)


@pytest.mark.parametrize(
    ("start", "delta"), [(Message, MessageDeltaUsage), (BetaMessage, BetaMessageDeltaUsage)]
)
def test_a_message_stream_is_read_as_plain_json_reads_it(
    start: type[BaseModel], delta: type[BaseModel]
) -> None:
    @generated
    @given(objects_of(start), objects_of(delta), CUTS)
    def check(message: Json, usage: Json, cuts: int) -> None:
        body = stream(
            {"type": "message_start", "message": message},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            {"type": "message_stop"},
        )
        prompt = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation")
        merged = {name: message["usage"].get(name) for name in prompt}
        merged |= {name: value for name, value in usage.items() if value is not None}
        agrees(body, "anthropic", plain_anthropic(merged), message.get("model"), cuts)

    check()


@generated
@given(
    st.lists(objects_of(GenerateContentResponse), min_size=1, max_size=3),
    st.none() | st.fixed_dictionaries({"promptTokenCount": COUNT}, optional={"totalTokenCount": COUNT}),
    CUTS,
)
def test_an_answer_of_google_is_read_as_plain_json_reads_it(
    parts: list[Json], counts: Json | None, cuts: int
) -> None:
    if counts is not None:  # most generated answers have no usage, or one without a prompt
        parts = [part | {"usageMetadata": (part.get("usageMetadata") or {}) | counts} for part in parts]
    body = json.dumps(parts[-1]).encode()
    agrees(body, "gemini", plain_gemini(parts[-1].get("usageMetadata")), parts[-1].get("modelVersion"), cuts)
    said = [part for part in parts if part.get("usageMetadata") is not None]
    expected = plain_gemini(said[-1]["usageMetadata"]) if said else None
    agrees(stream(*parts), "gemini", expected, said[-1].get("modelVersion") if said else "", cuts)
