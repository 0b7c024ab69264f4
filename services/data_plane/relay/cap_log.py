"""Counts the connections evicted or refused at a full cap, and logs the counts at most once a minute."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Cap = Literal["unidentified", "box", "org", "all"]
Fate = Literal["evicted", "refused"]

LOG_EVERY_SECONDS: Final = 60.0
"""A box must not be able to fill the log."""

_WORDS: Final[Mapping[Cap, str]] = {
    "unidentified": "of unknown boxes",
    "box": "of one box of the org",
    "org": "of the org",
    "all": "in all",
}

logger = logging.getLogger(__name__)


class CapLog:
    """The counts of one process. `monotonic` gives seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts: dict[Fate, Counter[str]] = {
            # From zero on, or the first of each would be missing from every rate.
            "evicted": Counter(dict.fromkeys(_WORDS, 0)),
            "refused": Counter(dict.fromkeys(_WORDS, 0)),
        }
        self._unlogged: Counter[Fate] = Counter()
        self._logged_at = float("-inf")
        self._cause = ""

    @property
    def evicted(self) -> Mapping[str, int]:
        """The connections closed in favour of newer connections, by the full cap."""
        return self._counts["evicted"]

    @property
    def refused(self) -> Mapping[str, int]:
        """The connections refused at a full cap without an idle connection to evict, by the cap."""
        return self._counts["refused"]

    def note(self, fate: Fate, cap: Cap, limit: int, org: str = "") -> None:
        """Count a connection; `org` names the org of a full cap."""
        self._counts[fate][cap] += 1
        self._unlogged[fate] += 1
        self._cause = f"{limit} {_WORDS[cap]} {org}".rstrip()
        self.log()

    def log(self) -> None:
        """Log the counts since the last line, unless the last line is younger than a minute."""
        now = self._monotonic()
        if not self._unlogged or now - self._logged_at < LOG_EVERY_SECONDS:
            return
        self._logged_at = now
        logger.warning(
            "connections of boxes are at a cap, %s: %d evicted, %d refused since the last such line",
            self._cause,
            self._unlogged["evicted"],
            self._unlogged["refused"],
        )
        self._unlogged.clear()
