"""The meaning of a failure of the database for the caller: nothing was changed, or the result is unknown.

The only reader of the drivers' errors. A mistake of ours (a senseless statement, a broken constraint) is
neither and stays unmapped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.control_plane.store.postgres_engine import sql_state

# Classes of SQLSTATE by which PostgreSQL itself says that a COMMIT has failed: the transaction is rolled
# back (40), resources are lacking (53), another state is needed (25, 55). See its manual, appendix A.
_REFUSED_COMMITS: Final = ("25", "40", "53", "55")
_NO_MISTAKES: Final = ("25", "42501")
"""States of the server and not of a statement: no writes taken, the transaction ended, a right missing."""
_REFUSED_COMMITS_SQLITE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
}


class DatabaseUnavailable(Exception):  # noqa: N818  # a finding about the database, not a failure of ours
    """The database cannot be reached, or is too busy; nothing was changed. `str()` says why, for the log."""


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost during the commit: everything was changed, or nothing."""


@contextmanager
def statements_mapped() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for an unanswered statement, or a missing connection."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if not _is_outage(error):
            raise
        raise DatabaseUnavailable(_reason(error)) from error


@contextmanager
def commit_mapped() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for a refused COMMIT, `CommitUnknown` for an unanswered COMMIT."""
    try:
        yield
    except DBAPIError as error:
        if not _is_outage(error):
            raise
        kind = DatabaseUnavailable if _was_refused(error) else CommitUnknown
        raise kind(_reason(error)) from error


def _is_outage(error: DBAPIError | PoolTimeout) -> bool:
    if isinstance(error, PoolTimeout):  # every connection is in use
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) not in {None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT}
    if sql_state(error.orig).startswith(_NO_MISTAKES):
        return True
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def _was_refused(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in _REFUSED_COMMITS_SQLITE
    return sql_state(error.orig).startswith(_REFUSED_COMMITS)


def _sqlite_code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the rest of an extended code tells details


def _reason(error: DBAPIError | PoolTimeout) -> str:
    # The driver's own words, first line: they name the host or file, never the password or a parameter.
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
