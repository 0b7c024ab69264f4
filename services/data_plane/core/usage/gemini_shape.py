"""How Google's Gemini API states tokens: `usageMetadata` of a document, an event, or an object of an array.

Google's routes in OpenAI's shape state OpenAI's names, with thoughts in the total alone. The messages of a
live WebSocket each state the tokens of their turn.

The prompt's count includes the part that came from a cache, and leaves out what tools put into the prompt.
The candidates' count leaves out thoughts. A zero is not written. Every object of a stream states the sums so
far. Sources: the types of the official Python library 3.6, November 2026.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.usage import openai_shape
from services.data_plane.core.usage.counts import BadCount, count_of, inner, largest, name_of, needed
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.shape import Shape
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage


def read(evidence: Evidence) -> Reading:
    """Read an answer."""
    if evidence.unknown is not None:
        return Reading(evidence.unknown)
    stated = evidence.document or evidence.last or {}
    if isinstance(stated.get("object"), str):
        return _read_compatible(evidence, stated)
    if evidence.last is not None and not evidence.is_whole and not _is_final(evidence.last):
        return Reading(NoUsage.CUT, name_of(stated, "modelVersion"))
    said = inner(stated, "usageMetadata", "usage")
    usage = usage_of(said) if said else NoUsage.ABSENT
    return Reading(usage, name_of(stated, "modelVersion"))


def _is_final(event: JsonObject) -> bool:
    """Whether an event ends every candidate: no later event states more."""
    candidates = event.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        return False
    return all(isinstance(one, dict) and one.get("finishReason") is not None for one in candidates)


def read_message(message: JsonObject) -> Reading | None:
    """Read a message of a live WebSocket; the model is named by the client alone."""
    said = inner(message, "usageMetadata")
    return Reading(usage_of(said)) if said else None


def _read_compatible(evidence: Evidence, stated: JsonObject) -> Reading:
    """Read an answer in OpenAI's shape: the total holds the thoughts that the output's count leaves out."""
    reading = openai_shape.read(evidence)
    total = count_of(inner(stated, "usage"), "total_tokens")
    if not isinstance(reading.usage, Usage) or total is None:
        return reading
    usage = reading.usage
    thoughts = total - usage.input_tokens - usage.output_tokens
    if thoughts < 0:
        return reading._replace(usage=NoUsage.INCOMPLETE)
    counted = usage._replace(
        output_tokens=usage.output_tokens + thoughts,
        reasoning_tokens=max(usage.reasoning_tokens, thoughts),
    )
    return reading._replace(usage=counted)


def usage_of(said: JsonObject) -> Usage | NoUsage:
    """Read a `usageMetadata` object."""
    try:
        return _counted(said)
    except BadCount:
        return NoUsage.INCOMPLETE


def _counted(said: JsonObject) -> Usage:
    read_tokens = needed(said, "promptTokenCount") + largest(count_of(said, "toolUsePromptTokenCount"))
    cached = largest(count_of(said, "cachedContentTokenCount"))
    thoughts = largest(count_of(said, "thoughtsTokenCount"))
    written = largest(count_of(said, "candidatesTokenCount"), count_of(said, "responseTokenCount"))
    output, total = written + thoughts, count_of(said, "totalTokenCount")
    if total is not None and total < read_tokens + output:
        raise BadCount("totalTokenCount")
    return Usage(read_tokens, cached, 0, output, thoughts)


SHAPE: Final = Shape(read, read_message, binary_messages=True, plain_counts=False)
