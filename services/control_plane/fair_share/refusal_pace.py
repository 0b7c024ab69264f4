"""How fast refusals go out: a client that ignores `Retry-After` must not take the process for itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

REFUSALS_PER_SECOND: Final = 20.0
"""Refusals of a key; a program obeying `Retry-After` stays far below."""
MAX_DELAY_SECONDS: Final = 10.0
"""So with n connections that never wait, a tenth of n refusals go out in a second at most, or twenty."""
MAX_KEYS: Final = 10_000


class RefusalPace:
    """Delays the refusals of one key so that they follow each other evenly. For one event loop."""

    def __init__(
        self,
        per_second: float = REFUSALS_PER_SECOND,
        max_delay_seconds: float = MAX_DELAY_SECONDS,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self._every_seconds = 1 / per_second
        self._max_delay_seconds = max_delay_seconds
        self._max_keys = max_keys
        self._next_at: OrderedDict[str, float] = OrderedDict()

    async def wait(self, key: str) -> None:
        """Wait until the next refusal of `key` may go out."""
        now = asyncio.get_running_loop().time()
        at = min(max(now, self._next_at.get(key, 0.0)), now + self._max_delay_seconds)
        self._next_at[key] = at + self._every_seconds
        self._next_at.move_to_end(key)
        if len(self._next_at) > self._max_keys:
            self._next_at.popitem(last=False)
        await asyncio.sleep(at - now)
