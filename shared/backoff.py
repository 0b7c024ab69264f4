"""How long a task pauses before the next attempt: twice as long after each failure, up to a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 32
"""Doubling a float any further gains nothing below any sensible bound."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts.

    Attributes:
        first_seconds: the pause after the first failure.
        last_seconds: the longest pause.
    """

    first_seconds: float
    last_seconds: float

    def pause_seconds(self, failures: int) -> float:
        """Give the pause after so many failures in a row, from 1 on."""
        return min(self.first_seconds * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), self.last_seconds)


def jittered(seconds: float, share: float, random: float) -> float:
    """Move a pause by at most `share` of its length either way, so that a fleet does not act in step.

    Args:
        seconds: the pause.
        share: of the pause, e.g. 0.1.
        random: a number from 0 to 1.
    """
    return seconds * (1 - share + 2 * share * random)
