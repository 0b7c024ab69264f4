"""Forgets expired sign-ins: sessions, links and departures to the issuer.

A sign-in forgets expired rows too, but sign-ins may stop for long.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.control_plane.recurring import repeat
from services.control_plane.store import sessions
from services.control_plane.store.database import Database
from shared.clock import Clock

PAUSE_SECONDS: Final = 10.0
"""Between two batches, and between two looks at the clock."""
EXPIRED_EVERY_SECONDS: Final = 600.0

_log = logging.getLogger(__name__)


class SignInExpiry:
    """Forgets a batch of expired sign-ins every ten minutes, and the next batch soon while there are more."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._forgot_at = 0.0

    async def run(self) -> None:
        """Forget until cancelled; failures do not end the loop."""
        await repeat(
            self.forget_expired,
            lambda: asyncio.sleep(PAUSE_SECONDS),
            "expired sign-ins cannot be forgotten now",
            _log,
        )

    def forget_expired(self) -> int:
        """Forget a batch of expired sign-ins when due; give how many there were."""
        now = self._clock()
        if now - self._forgot_at < EXPIRED_EVERY_SECONDS:
            return 0
        with self._database.quiet_write() as session:
            gone = sessions.forget_expired(session, now=now)
        if gone == 0:  # else there may be more, and the next batch follows soon
            self._forgot_at = now
        return gone
