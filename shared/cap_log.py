"""Counts the connections evicted or refused at a full cap, and logs the counts at most once a minute."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Fate = Literal["evicted", "refused"]

LOG_EVERY_SECONDS: Final = 60.0
"""A client that opens connections must not be able to fill the log."""

logger = logging.getLogger(__name__)


class CapLog:
    """The counts of one process.

    Args:
        monotonic: seconds that never go back.
        whose: the connections as the log calls them, e.g. `connections of boxes`.
        words: each cap, with its words in the log.
    """

    def __init__(self, monotonic: Callable[[], float], whose: str, words: Mapping[str, str]) -> None:
        self._monotonic = monotonic
        self._whose = whose
        self._words = words
        self._counts: dict[Fate, Counter[str]] = {
            # From zero on, or the first of each would be missing from every rate.
            "evicted": Counter(dict.fromkeys(words, 0)),
            "refused": Counter(dict.fromkeys(words, 0)),
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

    def note(self, fate: Fate, cap: str, limit: int, org: str = "") -> None:
        """Count a connection; `org` names the org of a full cap."""
        self._counts[fate][cap] += 1
        self._unlogged[fate] += 1
        self._cause = f"{limit} {self._words[cap]} {org}".rstrip()
        self.log()

    def log(self) -> None:
        """Log the counts since the last line, unless the last line is younger than a minute."""
        now = self._monotonic()
        if not self._unlogged or now - self._logged_at < LOG_EVERY_SECONDS:
            return
        self._logged_at = now
        logger.warning(
            "%s are at a cap, %s: %d evicted, %d refused since the last such line",
            self._whose,
            self._cause,
            self._unlogged["evicted"],
            self._unlogged["refused"],
        )
        self._unlogged.clear()
