"""Connections that are ending: a connection that takes too long over its last bytes is ended by a reset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.node_agent.relay.side import Side

END_SECONDS: Final = 60.0
"""For the last bytes to leave, and for the peer to close as well."""

SWEEP_SECONDS: Final = 5.0


class Endings:
    """The sides told to end, the oldest first."""

    def __init__(self, monotonic: Callable[[], float], *, end_seconds: float = END_SECONDS) -> None:
        self._monotonic = monotonic
        self._end_seconds = end_seconds
        self._until: dict[Side, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def watch(self, side: Side) -> None:
        """Give a side its deadline, unless it has one."""
        self._until.setdefault(side, self._monotonic() + self._end_seconds)

    def forget(self, side: Side) -> None:
        """The side has ended."""
        self._until.pop(side, None)

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
