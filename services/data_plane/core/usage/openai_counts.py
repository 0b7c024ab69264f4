"""The counts of OpenAI's usage object, and of endpoints that count in OpenAI's names.

Its input counts include what came from the cache and what was written to it. Sources: the types of the
official Python library 3.57, November 2026.
"""

from __future__ import annotations

from typing import Any

from services.data_plane.core.usage.counts import BadCount, count_of, inner, largest, needed
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.tokens import NoUsage, Usage


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
