"""How often a key may do something over time: one token bucket per key, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

MAX_KEYS: Final = 10_000
"""The key that was seen longest ago is forgotten first: its bucket is full again sooner than any other."""
SECONDS_PER_MINUTE: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """A bucket of tokens for each key, refilled evenly. Thread-safe.

    Args:
        per_minute: the refill of one minute.
        monotonic: seconds that never go back.
        burst_seconds: a full bucket holds the refill of this time, and one token at least.
    """

    def __init__(
        self,
        per_minute: int,
        monotonic: Callable[[], float],
        max_keys: int = MAX_KEYS,
        burst_seconds: float = SECONDS_PER_MINUTE,
    ) -> None:
        self._size = max(1.0, per_minute * burst_seconds / SECONDS_PER_MINUTE)
        self._per_second = per_minute / SECONDS_PER_MINUTE
        self._monotonic = monotonic
        self._max_keys = max_keys
        self._lock = Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, tokens: float = 1.0) -> float:
        """Take tokens, a full bucket at most, and give 0; or give the seconds until the key has as many."""
        wanted = min(tokens, self._size)
        with self._lock:
            now = self._monotonic()
            bucket = self._buckets.setdefault(key, _Bucket(self._size, now))
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
            bucket.tokens = min(self._size, bucket.tokens + (now - bucket.at) * self._per_second)
            bucket.at = now
            if bucket.tokens < wanted:
                return (wanted - bucket.tokens) / self._per_second
            bucket.tokens -= wanted
            return 0.0
