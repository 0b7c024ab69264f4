"""Connections that are ending: a connection that takes too long over its last bytes is ended by a reset.

A refused connection is in no cap, so only a few at a time may stay to read their answer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.node_agent.relay.side import Side

END_SECONDS: Final = 60.0
"""For the last bytes to leave, and for the peer to close as well."""

SWEEP_SECONDS: Final = 5.0
MAX_REFUSED: Final = 32
"""Refused connections that still read their answer; the oldest is reset for the next."""


class Endings:
    """The sides told to end, the oldest first."""

    def __init__(self, monotonic: Callable[[], float], *, end_seconds: float = END_SECONDS) -> None:
        self._monotonic = monotonic
        self._end_seconds = end_seconds
        self._until: dict[Side, float] = {}
        self._refused: OrderedDict[Side, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def watch(self, side: Side) -> None:
        """Give a side its deadline, unless it has one."""
        self._until.setdefault(side, self._monotonic() + self._end_seconds)

    def watch_refused(self, side: Side) -> None:
        """Give a refused connection its deadline, or less where many are refused."""
        self.watch(side)
        self._refused[side] = None
        if len(self._refused) > MAX_REFUSED:
            oldest, _ = self._refused.popitem(last=False)
            oldest.abort()

    def forget(self, side: Side) -> None:
        """The side has ended."""
        self._until.pop(side, None)
        self._refused.pop(side, None)

    def sweep(self) -> None:
        """Reset every side whose deadline has passed."""
        now = self._monotonic()
        for side, until in list(self._until.items()):
            if until > now:
                return
            del self._until[side]
            side.abort()

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
