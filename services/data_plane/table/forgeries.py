"""Counts entries in Redis in the gateway's place without the control plane's signature: worth an alarm."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_EVERY_SECONDS: Final = 60.0
"""A writer to Redis must not be able to fill the log."""

logger = logging.getLogger(__name__)


class Forgeries:
    """`monotonic` gives monotonic seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._logged_at = float("-inf")
        self.count = 0

    def note(self, what: str) -> None:
        """Count a forgery; `what` says which, without its content."""
        self.count += 1
        now = self._monotonic()
        if now - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = now
            logger.error("Redis holds %s; it is not applied (%d so far)", what, self.count)
