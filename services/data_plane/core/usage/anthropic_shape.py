"""The token statements of Anthropic and similar endpoints.

The input count stands beside the tokens read from and written to the cache. A stream states the prompt in
`message_start` and the sums in `message_delta`, where names stated at the start may be missing. `iterations`
lists every billed sampling, including a compaction's or an adviser's, left out of the counts beside the list.
Sources: the types of the official Python library 2.14, November 2026.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.usage import openai_counts
from services.data_plane.core.usage.counts import (
    BadCount,
    count_of,
    inner,
    largest,
    name_of,
    needed,
    requests_of,
)
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence, stated_names
from services.data_plane.core.usage.shape import Shape, no_message
from services.data_plane.core.usage.tokens import NOTHING, NoUsage, Reading, Usage, added

_MAX_ITERATIONS: Final = 10_000


def read(evidence: Evidence) -> Reading:
    """Read an answer."""
    if evidence.unknown is not None:
        return Reading(evidence.unknown)
    if evidence.is_array:
        return Reading(NoUsage.ABSENT)  # no response of this shape is an array
    if evidence.document is not None:
        said = evidence.document.get("usage")
        usage = usage_of(said) if isinstance(said, dict) else NoUsage.ABSENT
        return _reading(evidence.document, usage, inner(evidence.document, "usage"))
    return _read_stream(evidence, inner(evidence.first or {}, "message"), evidence.last or {})


def _read_stream(evidence: Evidence, start: JsonObject, last: JsonObject) -> Reading:
    said = last.get("usage")
    if not isinstance(said, dict) or name_of(last, "type") != "message_delta":  # the sums never came
        return _reading(start, NoUsage.INCOMPLETE if evidence.is_whole else NoUsage.CUT, {})
    if not evidence.is_whole and inner(last, "delta").get("stop_reason") is None:
        return _reading(start, NoUsage.CUT, {})  # a later event would have stated larger sums
    merged = {**_of_prompt(inner(start, "usage")), **_of_prompt(evidence.earlier), **stated_names(said)}
    is_behind = "iterations" in evidence.earlier.keys() - merged.keys()
    return _reading(start, NoUsage.INCOMPLETE if is_behind else usage_of(merged), merged)


def _of_prompt(said: JsonObject) -> JsonObject:
    """Give the counts of the prompt: a later event need not repeat these, while output counts grow."""
    return {name: value for name, value in said.items() if name in _COUNTS_OF_PROMPT}


_COUNTS_OF_PROMPT: Final = frozenset(
    {
        *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"),
        *("service_tier", "server_tool_use"),
    }
)


def _reading(message: JsonObject, usage: Usage | NoUsage, said: JsonObject) -> Reading:
    tools = inner(said, "server_tool_use")
    return Reading(
        usage,
        name_of(message, "model"),
        name_of(said, "service_tier"),
        web_searches=requests_of(tools, "web_search_requests"),
        web_fetches=requests_of(tools, "web_fetch_requests"),
    )


def usage_of(said: JsonObject) -> Usage | NoUsage:
    """Read the usage object. An endpoint with OpenAI's names alone counts like OpenAI."""
    if said.get("input_tokens") is None and said.get("prompt_tokens") is not None:
        return openai_counts.usage_of(said)
    try:
        return _counted(said)
    except BadCount:
        return NoUsage.INCOMPLETE


def _counted(said: JsonObject) -> Usage:
    total = _sampled(said)
    iterations = said.get("iterations")
    if not isinstance(iterations, list) or not iterations:
        return total
    if len(iterations) > _MAX_ITERATIONS or not all(isinstance(one, dict) for one in iterations):
        raise BadCount("iterations")
    billed = NOTHING
    for one in iterations:
        billed = added(billed, _sampled(one))
    return billed._replace(reasoning_tokens=max(billed.reasoning_tokens, total.reasoning_tokens))


def _sampled(said: JsonObject) -> Usage:
    """Read the counts of a sampling, or of all together."""
    lifetimes = inner(said, "cache_creation")
    for_1h = largest(count_of(lifetimes, "ephemeral_1h_input_tokens"))
    by_lifetime = for_1h + largest(count_of(lifetimes, "ephemeral_5m_input_tokens"))
    cached = largest(count_of(said, "cache_read_input_tokens"))
    written = largest(count_of(said, "cache_creation_input_tokens"), by_lifetime)
    thinking = largest(count_of(inner(said, "output_tokens_details"), "thinking_tokens"))
    read = needed(said, "input_tokens") + cached + written
    return Usage(read, cached, written, needed(said, "output_tokens"), thinking, min(for_1h, written))


SHAPE: Final = Shape(read, no_message)
