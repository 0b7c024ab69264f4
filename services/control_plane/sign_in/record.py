"""The audit's record of sign-ins: who signed in, and what was refused; so many rows a day and no more.

Whoever reaches the Portal can have a sign-in refused, as often as the visitor likes. Rows of the audit are
never deleted, so they are counted by the day: the number of those beyond the count stands in the next row.
"""

from __future__ import annotations

import logging
from collections import Counter
from threading import Lock
from typing import Final, Literal

from services.control_plane.store import audit
from services.control_plane.store.changes import AuditNote, Author
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from shared.clock import Clock

Way = Literal["link", "oidc"]
SIGNED_IN: Final = "sign_in.done"
REFUSED: Final = "sign_in.refused"
UNKNOWN: Final = "unknown"
"""The actor of a refused sign-in: nobody has been proved."""
TARGET: Final = "portal"
MAX_REFUSED_ROWS_A_DAY: Final = 200
"""Of a process."""
MAX_ROWS_OF_A_PERSON_A_DAY: Final = 50
"""At a process."""
MAX_PEOPLE_A_DAY: Final = 100_000
DAY_SECONDS: Final = 24 * 3600

_log = logging.getLogger(__name__)


class SignInRecord:
    """Writes sign-ins into the audit without an org. Thread-safe.

    A database that is away costs the row, never the sign-in.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._day = 0
        self._noted: Counter[str] = Counter()
        self._left_out = 0

    def signed_in(self, email: str, way: Way, visitor: str) -> None:
        """Note that a person has opened a session."""
        self._note(email, SIGNED_IN, {"way": way, "from": visitor}, MAX_ROWS_OF_A_PERSON_A_DAY)

    def refused(self, reason: str, way: Way, visitor: str) -> None:
        """Note that a sign-in was refused; `reason` is a sentence of our own."""
        details = {"way": way, "from": visitor, "reason": reason}
        self._note(UNKNOWN, REFUSED, details, MAX_REFUSED_ROWS_A_DAY)

    def _note(self, actor: str, action: str, details: dict[str, str], most: int) -> None:
        now = self._clock()
        with self._lock:
            if not self._take(actor, most, now):
                self._left_out += 1
                return
            left_out, self._left_out = self._left_out, 0
        told: dict[str, object] = {**details, **({"not_noted": left_out} if left_out else {})}
        try:
            with self._database.quiet_write() as session:
                audit.note(session, Author(actor, now), AuditNote(None, action, TARGET, told))
        except DatabaseUnavailable as error:
            _log.warning("a sign-in is not in the audit: %s", error)

    def _take(self, actor: str, most: int, now: float) -> bool:
        day = int(now // DAY_SECONDS)
        if day != self._day:
            self._day, self._noted = day, Counter()
        if actor not in self._noted and len(self._noted) >= MAX_PEOPLE_A_DAY:
            return False
        self._noted[actor] += 1
        return self._noted[actor] <= most
