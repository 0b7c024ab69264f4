"""Begins a new epoch as soon as a position proves lost commits of the database.

Revisions of an epoch never go back. A position above the counter, of a data plane, a stream in Redis or this
process, therefore proves a failover with lost commits, or a restored backup; the new epoch makes every data
plane take a snapshot, so none keeps a state missing from the database.
"""

from __future__ import annotations

import logging

from services.control_plane.store.changes import Counter, begin_epoch, changing, counter
from services.control_plane.store.database import Database

_log = logging.getLogger(__name__)


class LostCommits:
    """Judges positions reported by other parts of the gateway. Thread-safe; calls block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> Counter:
        """Read where the feed stands; begin a new epoch where this process has seen more committed.

        Raises:
            DatabaseUnavailable: the database does not answer, or takes no writes.
        """
        with self._database.read() as session:
            at = counter(session)
        if not self._database.high_water.is_above(at.epoch, at.revision):
            self._database.high_water.note(at.epoch, at.revision)
            return at
        with changing(self._database) as session:  # which judges again, with the counter locked
            return counter(session)

    def suspect(self, seen: Counter, seen_by: str) -> bool:
        """Begin a new epoch if `seen` is above the counter; tell whether a new epoch was begun.

        Args:
            seen: a position published as committed.
            seen_by: the observer, for the log.

        Raises:
            DatabaseUnavailable: the database does not answer, or takes no writes.
        """
        with self._database.read() as session:
            if not _proves_loss(seen, counter(session)):
                return False
        with changing(self._database) as session:
            at = counter(session)
            proven = _proves_loss(seen, at)
            if proven:
                begin_epoch(session)
        if proven:
            _log.error(
                "commits are lost: %s is at revision %d, the database at %d; a new epoch begins",
                seen_by,
                seen.revision,
                at.revision,
            )
        return proven

    def contradicted(self, at: Counter, seen_by: str) -> None:
        """Begin a new epoch: the revision `at` was published with another change than the database has.

        Raises:
            DatabaseUnavailable: the database does not answer, or takes no writes.
        """
        with changing(self._database) as session:
            proven = counter(session).epoch == at.epoch
            if proven:
                begin_epoch(session)
        if proven:
            _log.error(
                "commits are lost: %s has another change at revision %d than the database; "
                "a new epoch begins",
                seen_by,
                at.revision,
            )


def _proves_loss(seen: Counter, at: Counter) -> bool:
    return seen.epoch == at.epoch and seen.revision > at.revision
