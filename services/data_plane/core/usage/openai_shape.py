"""How OpenAI states tokens: chat completions, responses, embeddings, images, audio; and endpoints like it.

Its input counts include what came from the cache and what was written to it. Sources: the types of the
official Python library 3.57, November 2026.
"""

from __future__ import annotations

from typing import Any, Final

from services.data_plane.core.usage.counts import BadCount, count_of, inner, largest, name_of, needed
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage

_FINAL_EVENTS: Final = frozenset(
    {
        *("response.completed", "response.incomplete", "response.failed", "response.done"),
        *("transcript.text.done", "speech.audio.done"),
        *("image_generation.completed", "image_edit.completed"),
        "conversation.item.input_audio_transcription.completed",
    }
)
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def read(evidence: Evidence) -> Reading:
    """Read an answer."""
    if evidence.unknown is not None:
        return Reading(evidence.unknown)
    if evidence.document is not None:
        return _reading(evidence.document)
    assert evidence.last is not None
    if evidence.is_whole or _is_final(evidence.last):
        return _reading(inner(evidence.last, "response") or evidence.last)
    return Reading(NoUsage.CUT)


def read_message(message: JsonObject) -> Reading | None:
    """Read one message of a WebSocket; None when it ends nothing that costs tokens."""
    if message.get("type") not in _FINAL_EVENTS:
        return None
    return _reading(inner(message, "response") or message)


def _is_final(event: JsonObject) -> bool:
    """Whether no later event can state more: some endpoints state a usage with every event."""
    if event.get("type") in _FINAL_EVENTS:
        return True
    choices = event.get("choices")
    if not isinstance(choices, list):
        return False
    return all(isinstance(one, dict) and one.get("finish_reason") is not None for one in choices)


def _reading(answer: JsonObject) -> Reading:
    background = name_of(answer, "id") if answer.get("background") is True else ""
    said = answer.get("usage")
    usage: Usage | NoUsage
    if isinstance(said, dict):
        usage = usage_of(said)
    else:
        usage = NoUsage.PENDING if background and answer.get("status") in _UNFINISHED else NoUsage.ABSENT
    searches = inner(inner(answer, "tool_usage"), "web_search").get("num_requests")
    return Reading(
        usage,
        name_of(answer, "model"),
        name_of(answer, "service_tier"),
        web_searches=searches if isinstance(searches, int) else 0,
        background_id=background,
    )


def usage_of(said: JsonObject) -> Usage | NoUsage:
    """Read the usage object."""
    if said.get("type") == "duration":
        return NoUsage.ABSENT  # transcriptions that are billed by the second
    try:
        return _counted(said)
    except BadCount:
        return NoUsage.INCOMPLETE


def _counted(said: JsonObject) -> Usage:
    if said.get("prompt_tokens") is not None:
        read, wrote = needed(said, "prompt_tokens"), count_of(said, "completion_tokens")
        took = inner(said, "prompt_tokens_details", "input_tokens_details")
        gave = inner(said, "completion_tokens_details", "output_tokens_details")
    else:
        read, wrote = needed(said, "input_tokens"), count_of(said, "output_tokens")
        took = inner(said, "input_tokens_details", "input_token_details", "prompt_tokens_details")
        gave = inner(said, "output_tokens_details", "output_token_details", "completion_tokens_details")
    cached = _cached(said, took)
    written = _written(said, took)
    return Usage(
        read, cached, written, _output(said, read, wrote), largest(count_of(gave, "reasoning_tokens"))
    )


def _output(said: JsonObject, read: int, wrote: int | None) -> int:
    """Embeddings state no output, but a total that equals the input."""
    if wrote is not None:
        return wrote
    total = needed(said, "total_tokens")
    if total < read:
        raise BadCount("total_tokens")
    return total - read


def _cached(said: JsonObject, took: dict[str, Any]) -> int:
    return largest(
        count_of(took, "cached_tokens"),
        count_of(said, "cached_tokens"),
        count_of(said, "cache_read_input_tokens"),
        count_of(said, "prompt_cache_hit_tokens"),
    )


def _written(said: JsonObject, took: dict[str, Any]) -> int:
    return largest(
        count_of(took, "cache_write_tokens"),
        count_of(took, "cache_creation_tokens"),
        count_of(said, "cache_write_tokens"),
        count_of(said, "cache_creation_input_tokens"),
    )
