"""The one door to the wall clock. All other code takes a `Clock` as an argument, so that tests own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Seconds since the epoch (Unix time), as a float."""


def unix_now() -> float:
    """Seconds since 1970-01-01T00:00:00Z."""
    return time.time()  # noqa: TID251  # this is the door


def utc(seconds: float) -> datetime:
    """Give the aware UTC datetime of a Unix time."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def rfc3339(seconds: float) -> str:
    """Write a Unix time as RFC 3339 in UTC with millisecond precision, e.g. `2026-11-03T10:15:00.123Z`."""
    return utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
