"""How Google's Gemini API states tokens: `usageMetadata` of a document, an event, or an object of an array.

The prompt's count includes the part that came from a cache, and leaves out what tools put into the prompt.
The candidates' count leaves out thoughts. A zero is not written. Every object of a stream states the sums so
far. Sources: the types of the official Python library 3.6, November 2026.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.usage.counts import BadCount, count_of, inner, largest, name_of, needed
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
from services.data_plane.core.usage.shape import Shape, no_message
from services.data_plane.core.usage.tokens import NoUsage, Reading, Usage


def read(evidence: Evidence) -> Reading:
    """Read an answer."""
    if evidence.unknown is not None:
        return Reading(evidence.unknown)
    stated = evidence.document or evidence.last or {}
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


SHAPE: Final = Shape(read, no_message)
