"""Checks a server's clock against this machine's: tokens, versions and the feed are judged by time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from aigw.doctor.finding import Finding
from shared.box_token import CLOCK_SKEW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock

MAX_SKEW_SECONDS: Final = CLOCK_SKEW_SECONDS
"""Above this, box tokens and sign-in tokens are refused: the leeway of both planes."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A server's time, and this machine's before and after the request; Unix seconds."""

    server: float
    asked: float
    answered: float

    def skew_seconds(self) -> float:
        """Give how far the server is ahead (positive) or behind at least; 0 within the request's time."""
        if self.server > self.answered:
            return self.server - self.answered
        return min(0.0, self.server - self.asked)


def read_clock(ask: Callable[[], float | None], clock: Clock) -> ClockReading | None:
    """Ask a server for its time; None from a server that does not tell. Blocks."""
    asked = clock()
    told = ask()
    return None if told is None else ClockReading(told, asked, clock())


def http_time(date: str | None) -> float | None:
    """Read the `Date` of a response (RFC 9110 §6.6.1); None without a readable date."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def examine_clock(name: str, server: str, reading: ClockReading | None) -> list[Finding]:
    """Give a finding for a clock that is off by more than the planes allow. `server` names its setting."""
    skew = 0.0 if reading is None else reading.skew_seconds()
    if abs(skew) <= MAX_SKEW_SECONDS:
        return []
    found = (
        f"the clock of {server} is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's; "
        f"above {MAX_SKEW_SECONDS} s tokens are refused"
    )
    return [Finding("FAIL", name, found, "set both clocks by a time service (NTP), such as chrony")]
