"""Readiness of the process: the database answers. A single thread looks, one look at a time.

Probes have no limit and need no token, so a good look is kept for a second: many probes cost one look.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store.changes import counter
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from services.control_plane.worker_threads import WorkerThreads

LOOK_SECONDS: Final = 3.0
"""Below the time-out of an orchestrator's probe, so that the answer says why."""
KEPT_SECONDS: Final = 1.0
"""How long a good look answers further probes; an orchestrator asks each several seconds."""
_log = logging.getLogger(__name__)


class Readiness:
    """Looks at the database: callers of the same second share a good look. For a single event loop."""

    def __init__(
        self, database: Database, look_seconds: float = LOOK_SECONDS, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        self._database = database
        self._look_seconds = look_seconds
        self._kept_seconds = kept_seconds
        self._good_until = 0.0
        self._threads = WorkerThreads("readiness", 1)
        self._look: asyncio.Future[None] | None = None

    async def require(self) -> None:
        """Return when the database answers; raises `ProblemError`."""
        now = asyncio.get_running_loop().time()
        if now < self._good_until:
            return
        if self._look is None or self._look.done():
            self._look = self._threads.run(self._read)
            self._look.add_done_callback(_note_failure)
        try:
            # The look goes on for others, and so does one that takes longer than this caller waits.
            await asyncio.wait_for(asyncio.shield(self._look), self._look_seconds)
        except TimeoutError:
            raise ProblemError(Problem.NOT_READY, "The database does not answer in time.") from None
        except (DatabaseUnavailable, SQLAlchemyError):  # the latter: one that answers, but not as ours
            raise ProblemError(Problem.NOT_READY, "The database does not answer.") from None
        # Counted from the question, so that an answer is never older than that.
        self._good_until = max(self._good_until, now + self._kept_seconds)

    def _read(self) -> None:
        with self._database.read() as session:
            counter(session)

    def close(self) -> None:
        """End the thread."""
        self._threads.close()


def _note_failure(look: asyncio.Future[None]) -> None:
    if not look.cancelled() and (error := look.exception()) is not None:
        _log.warning("not ready: the database does not answer (%s)", type(error).__name__)
