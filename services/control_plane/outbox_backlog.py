"""The outbox's backlog as last seen: committed changes not yet on the event bus, and the age of the oldest.

Read now and then, apart from the publisher: a scrape must not wait for a database, and a publisher without a
bus is exactly the case to be seen.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.control_plane.store import outbox
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from shared.clock import Clock

LOOK_EVERY_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class OutboxBacklog:
    """Looks every `LOOK_EVERY_SECONDS`; a database without an answer makes the backlog unknown.

    Attributes:
        events: the changes that wait; None while unknown.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._oldest_at: float | None = None
        self.events: int | None = None

    @property
    def oldest_seconds(self) -> float | None:
        """The age of the oldest waiting change: 0 without any, None while unknown."""
        if self.events is None:
            return None
        return 0.0 if self._oldest_at is None else max(self._clock() - self._oldest_at, 0.0)

    async def run(self) -> None:
        """Look until cancelled; no failure ends the looking."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Look once."""
        try:
            self.events, self._oldest_at = await asyncio.to_thread(self._read)
        except DatabaseUnavailable:
            self.events = None
        except Exception:  # noqa: BLE001  # the task's boundary: the next look may succeed
            self.events = None
            _log.exception("the outbox cannot be counted")

    def _read(self) -> tuple[int, float | None]:
        with self._database.read() as session:
            return outbox.backlog(session)
