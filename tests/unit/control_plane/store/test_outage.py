"""Which failures of a driver are outages, and after which COMMITs the saved state is unknown."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.control_plane.store.outage import (
    CommitUnknown,
    DatabaseUnavailable,
    commit_mapped,
    statements_mapped,
)


def of_sqlite(code: int) -> OperationalError:
    original = sqlite3.OperationalError("in SQLite's words")
    original.sqlite_errorcode = code
    return OperationalError("COMMIT", {}, original)


def of_postgres(
    original: Exception, kind: type[DBAPIError] = OperationalError, *, lost: bool = False
) -> DBAPIError:
    return kind("COMMIT", {}, original, connection_invalidated=lost)


LOST = of_postgres(psycopg.OperationalError("consuming input failed"), lost=True)
SHUT_DOWN = of_postgres(psycopg.errors.AdminShutdown("terminating connection"))
CLOSED = of_postgres(psycopg.InterfaceError("the connection is closed"), InterfaceError)
UNKNOWN = [LOST, SHUT_DOWN, CLOSED, of_sqlite(sqlite3.SQLITE_IOERR)]
REFUSED = [
    of_postgres(psycopg.errors.SerializationFailure("could not serialize access")),
    of_postgres(psycopg.errors.DiskFull("no space left")),
    of_sqlite(sqlite3.SQLITE_BUSY),
    of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
    of_sqlite(sqlite3.SQLITE_FULL),
]
OURS = [
    of_postgres(psycopg.errors.UniqueViolation("duplicate key"), IntegrityError),
    of_sqlite(sqlite3.SQLITE_ERROR),
]


def after_commit(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, commit_mapped():  # noqa: PT011  # which one is what is asked
        raise error
    return caught.value


def after_statement(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, statements_mapped():  # noqa: PT011  # same
        raise error
    return caught.value


@pytest.mark.parametrize("error", UNKNOWN, ids=str)
def test_a_commit_without_an_answer_is_unknown(error: Exception) -> None:
    assert type(after_commit(error)) is CommitUnknown


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_a_commit_that_was_refused_has_changed_nothing(error: Exception) -> None:
    assert type(after_commit(error)) is DatabaseUnavailable


@pytest.mark.parametrize("error", [*UNKNOWN, *REFUSED, PoolTimeout("QueuePool limit")], ids=str)
def test_a_statement_that_was_not_answered_has_changed_nothing(error: Exception) -> None:
    found = after_statement(error)
    assert type(found) is DatabaseUnavailable
    assert "\n" not in str(found)


@pytest.mark.parametrize("error", [*OURS, ValueError("x")], ids=str)
def test_a_mistake_of_ours_stays_what_it_is(error: Exception) -> None:
    assert after_commit(error) is error
    assert after_statement(error) is error


def test_what_was_found_out_at_the_commit_is_not_found_out_again() -> None:
    unknown = CommitUnknown("lost")
    assert after_statement(unknown) is unknown
