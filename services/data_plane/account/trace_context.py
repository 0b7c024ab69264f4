"""The trace of a request as its client names it: the `traceparent` header of W3C Trace Context."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Trace Context §3.2: version ff is invalid, as are ids of zeros alone; a later version may append fields.
_TRACE_PARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = 1
_FIRST_VERSION: Final = b"00"


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's span. `is_sampled` tells whether the caller records its own span."""

    trace_id: str
    span_id: str
    is_sampled: bool


def parse_trace_parent(value: bytes) -> TraceParent | None:
    """Read the header's value; None for an absent or invalid one, which begins a new trace (§4.3)."""
    match = _TRACE_PARENT.fullmatch(value)
    if match is None or (match[1] == _FIRST_VERSION and match[5] is not None):
        return None
    return TraceParent(match[2].decode(), match[3].decode(), bool(int(match[4], 16) & _SAMPLED))
