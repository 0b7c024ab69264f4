"""How long a change takes from its commit to this process, of the changes that came by the event bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.distribution import Distribution

LAG_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds: a change should be in force within a quarter of a second, mostly."""


class EventLag:
    """The lags so far. `clock` gives Unix seconds.

    The clocks of two machines differ: a change from the future counts as one without a lag.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = Distribution(LAG_BUCKETS)

    def note(self, committed_at: float | None) -> None:
        """Count an applied change; None is the time of a change from an older control plane."""
        if committed_at is not None:
            self.seconds.add(max(0.0, self._clock() - committed_at))
