"""The tokens of an answer, in the gateway's count for every provider, and why a count may be unknown."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

MAX_TOKENS: Final = 10**12
"""A larger count is no count."""


class Usage(NamedTuple):
    """Tokens of an answer, counted alike for all providers. A tuple, because a tuple is cheap to make.

    Attributes:
        input_tokens: all tokens read by the model, cached or not.
        cached_input_tokens: the part of the input read from the provider's cache.
        cache_write_tokens: the part of the input written to the cache.
        output_tokens: all tokens written by the model, reasoning included.
        reasoning_tokens: the part of the output spent on reasoning.
        cache_write_1h_tokens: the part of the cache writes kept for an hour; the rest is kept for five
            minutes.
    """

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cache_write_1h_tokens: int = 0


NOTHING: Final = Usage(0, 0, 0, 0, 0)


def added(one: Usage, other: Usage) -> Usage:
    """Add two usages, kind by kind."""
    return Usage(
        one.input_tokens + other.input_tokens,
        one.cached_input_tokens + other.cached_input_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.output_tokens + other.output_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
        one.cache_write_1h_tokens + other.cache_write_1h_tokens,
    )


class NoUsage(Enum):
    """Why the tokens of an answer are unknown. The values are those of the metric `aigw_usage_reads`."""

    ABSENT = "absent"  # the whole answer was read, and states no tokens
    CUT = "cut"  # the answer ended before its last usage
    INCOMPLETE = "incomplete"  # the usage lacks a count, or has a count that is no number
    TOO_LONG = "too_long"  # the usage stands outside the kept part, or the answer inflates beyond the limit
    UNREADABLE = "unreadable"  # no text, or compressed in an unknown way
    PENDING = "pending"  # a background answer, counted by the poll with its end


class Reading(NamedTuple):
    """Everything read from an answer.

    Attributes:
        usage: the tokens, or why the tokens are unknown.
        model: the model named by the answer, or empty.
        service_tier: the tier named by the answer, or empty.
        web_searches, web_fetches: requests of the provider's own tools, billed beside the tokens.
        background_id: the provider's id of a background answer, or empty.
        partly: why a part of a WebSocket could not be read; its tokens are missing from `usage`.
    """

    usage: Usage | NoUsage
    model: str = ""
    service_tier: str = ""
    web_searches: int = 0
    web_fetches: int = 0
    background_id: str = ""
    partly: NoUsage | None = None
