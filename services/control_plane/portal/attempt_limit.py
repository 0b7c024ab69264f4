"""The limit on an address's attempts to sign in: a sliding minute per address, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

MAX_ATTEMPTS: Final = 30
WINDOW_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 10_000


class AttemptLimit:
    """Counts attempts. `clock` gives monotonic seconds. Not thread-safe: for the event loop."""

    def __init__(self, clock: Callable[[], float], max_attempts: int = MAX_ATTEMPTS) -> None:
        self._clock = clock
        self._max_attempts = max_attempts
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Book an attempt and give 0, or tell how long this address has to wait."""
        now = self._clock()
        recent = self._attempts.setdefault(address, deque())
        self._attempts.move_to_end(address)
        if len(self._attempts) > MAX_ADDRESSES:
            self._attempts.popitem(last=False)
        while recent and recent[0] <= now - WINDOW_SECONDS:
            recent.popleft()
        if len(recent) >= self._max_attempts:
            return recent[0] + WINDOW_SECONDS - now
        recent.append(now)
        return 0.0

    def forgive(self, address: str) -> None:
        """Take the latest attempt off the books: the attempt was no guess."""
        recent = self._attempts.get(address)
        if recent:
            recent.pop()
