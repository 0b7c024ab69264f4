"""The token statements of Anthropic and similar endpoints.

The input count stands beside the tokens read from and written to the cache. A stream states the prompt in
`message_start` and the sums in `message_delta`, where names stated at the start may be missing. `iterations`
lists every billed sampling, including a compaction's or an adviser's, left out of the counts beside the list.
Sources: the types of the official Python library 2.14, November 2026.
"""

from __future__ import annotations

from typing import Final

from services.data_plane.core.usage import openai_counts
from services.data_plane.core.usage.counts import BadCount, count_of, inner, largest, name_of, needed
from services.data_plane.core.usage.json_parts import JsonObject
from services.data_plane.core.usage.kept import Evidence
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
    start = inner(evidence.first or {}, "message")
    return _read_stream(start, evidence.last or {}, is_whole=evidence.is_whole)


def _read_stream(start: JsonObject, last: JsonObject, *, is_whole: bool) -> Reading:
    said = last.get("usage")
    if not isinstance(said, dict):  # the last event with a usage is the first
        return _reading(start, NoUsage.INCOMPLETE if is_whole else NoUsage.CUT, {})
    begun = {name: value for name, value in inner(start, "usage").items() if name in _STATED_AT_START}
    merged = {**begun, **{name: value for name, value in said.items() if value is not None}}
    return _reading(start, usage_of(merged), merged)


_STATED_AT_START: Final = frozenset(
    {
        *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"),
        *("service_tier", "server_tool_use"),
    }
)
"""Counts of the prompt. Output counts are only begun at the start, so never final there."""


def _reading(message: JsonObject, usage: Usage | NoUsage, said: JsonObject) -> Reading:
    tools = inner(said, "server_tool_use")
    searches, fetches = tools.get("web_search_requests"), tools.get("web_fetch_requests")
    return Reading(
        usage,
        name_of(message, "model"),
        name_of(said, "service_tier"),
        web_searches=searches if isinstance(searches, int) else 0,
        web_fetches=fetches if isinstance(fetches, int) else 0,
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
