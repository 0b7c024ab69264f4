"""The tokens of one answer, as the gateway counts them for every provider, and why a count may be unknown."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

MAX_TOKENS: Final = 10**12
"""A larger count is no count."""


class Usage(NamedTuple):
    """Tokens of one answer, counted alike for all providers. A tuple, because a tuple is cheap to make.

    Attributes:
        input_tokens: all tokens that the model read, cached or not.
        cached_input_tokens: the part of the input that came from the provider's cache.
        cache_write_tokens: the part of the input that was written to the cache.
        output_tokens: all tokens that the model wrote, reasoning included.
        reasoning_tokens: the part of the output that was spent on reasoning.
        cache_write_1h_tokens: the part of the cache writes that is kept for one hour; the rest is kept for
            five minutes.
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
    TOO_LONG = "too_long"  # the usage stands where the tap keeps nothing, or inflates beyond the limit
    UNREADABLE = "unreadable"  # no text, or compressed in a way that is not known here
    PENDING = "pending"  # a background answer that the provider has not finished


class Reading(NamedTuple):
    """Everything that is read from one answer.

    Attributes:
        usage: the tokens, or the reason why they are unknown.
        model: the model that the answer names, or empty.
        service_tier: the tier that the answer names, or empty.
        web_searches, web_fetches: requests of the provider's own tools, billed beside the tokens.
        background_id: the provider's id of an answer that was made in the background, or empty.
        partly: why a part of a WebSocket could not be read; its tokens are missing from `usage`.
    """

    usage: Usage | NoUsage
    model: str = ""
    service_tier: str = ""
    web_searches: int = 0
    web_fetches: int = 0
    background_id: str = ""
    partly: NoUsage | None = None
