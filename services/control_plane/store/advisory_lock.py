"""Locks taken by processes in the database itself: a single upgrade at a time, a single active outbox relay.

PostgreSQL's transaction-level advisory locks: gone with the transaction, also when its process dies, and safe
behind a transaction-pooling proxy. SQLite has a single process on a single machine, and its own lock for
writers.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from services.control_plane.store.database import Database, limit_transaction
from services.control_plane.store.outage import statements_mapped

# Any two numbers that nobody else takes in this database: "aigw" in ASCII, and which lock.
UPGRADE_LOCK: Final = 0x61696777_0001
RELAY_LOCK: Final = 0x61696777_0002
RELAY_TURN_WAIT_SECONDS: Final = 2.0
RELAY_TURN_SECONDS: Final = 60.0
"""How long a batch may take.

After this time another process takes its turn, in case this host has vanished; two relays publishing at once
do no harm, since the bus refuses repeats.
"""
_LOCK_NOT_AVAILABLE: Final = "55P03"  # PostgreSQL's error code when lock_timeout has passed


def wait_for_upgrade(connection: Connection) -> None:
    """Wait until no other process upgrades; held until the connection's transaction ends."""
    if _has_advisory_locks(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})


class RelayTurn:
    """The right to publish.

    Each process relays right after its own commit, so the turn is taken per batch and not for life.
    """

    def __init__(self, database: Database, *, abandoned_seconds: float = RELAY_TURN_SECONDS) -> None:
        self._database = database
        self._abandoned_seconds = abandoned_seconds
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Wait for the turn; False when another process keeps the turn longer than a batch takes.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        assert self._connection is None, "a turn is taken once"
        with statements_mapped():
            connection = self._database.engine.connect()
            try:
                if _has_advisory_locks(connection) and not _locked(connection, self._abandoned_seconds):
                    connection.close()
                    return False
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return True

    def give_back(self) -> None:
        """End the turn; nothing when there is none."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing rolls back, and with that lets go of the lock, unless the database has done so already.
            with connection, suppress(DBAPIError):
                connection.rollback()


def _has_advisory_locks(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _locked(connection: Connection, abandoned_seconds: float) -> bool:
    limit_transaction(connection, RELAY_TURN_WAIT_SECONDS, abandoned_seconds)
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": RELAY_LOCK})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
