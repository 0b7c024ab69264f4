"""How OpenAI states tokens: chat completions, responses, embeddings, images, audio; and similar endpoints.

Its usage object is read by `openai_counts.py`. Endpoints that serve Anthropic's routes under the same address
answer there in Anthropic's shape. Sources: the types of the official Python library 3.57, November 2026.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.usage import anthropic_shape
from services.data_plane.core.usage.counts import inner, name_of, requests_of
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.openai_counts import usage_of
from services.data_plane.core.usage.shape import Shape
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage

_FINAL_EVENTS: Final = frozenset(
    {
        *("response.completed", "response.incomplete", "response.failed", "response.done"),
        *("transcript.text.done", "speech.audio.done"),
        *("image_generation.completed", "image_edit.completed"),
        "conversation.item.input_audio_transcription.completed",
    }
)
_BATCH: Final = "batch"
"""A batch states the tokens of its requests so far, and is told again and again."""
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def read(evidence: Evidence) -> Reading:
    """Read a response of OpenAI's shape or, by its type, of Anthropic's."""
    begun = evidence.document or evidence.first or {}
    if name_of(begun, "type") in {"message", "message_start"}:
        return anthropic_shape.read(evidence)
    if evidence.unknown is not None:
        return Reading(evidence.unknown)
    if evidence.is_array:
        return Reading(NoUsage.ABSENT)  # no response of this shape is an array
    if evidence.document is not None:
        return _reading(evidence.document)
    return _read_stream(evidence.last or {}, is_whole=evidence.is_whole)


def _read_stream(last: JsonObject, *, is_whole: bool) -> Reading:
    response = inner(last, "response")
    if _is_final(last) or (is_whole and not response):
        return _reading(response or last)
    # A response's first events state no sums, and its end never came, e.g. for an error.
    return Reading(NoUsage.INCOMPLETE if is_whole else NoUsage.CUT, name_of(response, "model"))


def read_message(message: JsonObject) -> Reading | None:
    """Read a message of a WebSocket; None for a message at the end of nothing billed."""
    if name_of(message, "type") not in _FINAL_EVENTS:
        return None
    return _reading(inner(message, "response") or message)


def _is_final(event: JsonObject) -> bool:
    """Whether no later event can state more: some endpoints state a usage with every event."""
    if name_of(event, "type") in _FINAL_EVENTS:
        return True
    choices = event.get("choices")
    if not isinstance(choices, list):
        return False
    return all(isinstance(one, dict) and one.get("finish_reason") is not None for one in choices)


def _reading(answer: JsonObject) -> Reading:
    background = name_of(answer, "id") if answer.get("background") is True else ""
    said = answer.get("usage")
    usage: Usage | NoUsage
    if isinstance(said, dict) and name_of(answer, "object") != _BATCH:
        usage = usage_of(said)
    else:
        is_pending = background and name_of(answer, "status") in _UNFINISHED
        usage = NoUsage.PENDING if is_pending else NoUsage.ABSENT
    return Reading(
        usage,
        name_of(answer, "model"),
        name_of(answer, "service_tier"),
        web_searches=requests_of(inner(inner(answer, "tool_usage"), "web_search"), "num_requests"),
        background_id=background,
    )


SHAPE: Final = Shape(read, read_message)
