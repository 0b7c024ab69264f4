"""The only access to the database: engines, and the two kinds of transaction (`read`, `write`).

A `Session` from here is inside exactly one transaction; a successful `write` is committed and announced, a
failed `write` is rolled back. An unreachable database raises `outage.DatabaseUnavailable`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlmodel import Session, create_engine

from services.control_plane.store.database_url import checked_database_url
from services.control_plane.store.high_water import HighWater
from services.control_plane.store.outage import (
    CommitUnknown,
    DatabaseUnavailable,
    commit_mapped,
    statements_mapped,
)
from services.control_plane.store.postgres_engine import postgres_engine
from services.control_plane.store.tables import AuditTable

BUSY_TIMEOUT_SECONDS: Final = 10
"""How long a writer waits for another; longer is an outage."""
ABANDONED_SECONDS: Final = 10
"""PostgreSQL's time to keep the locks of a silent writer: its host may have vanished."""
REQUEST_THREADS: Final = 24
"""Serve people and the platform; the fleet and readiness have threads of their own, hence connections too."""
FLEET_THREADS: Final = 6
POOL_SIZE: Final = 8
POOL_OVERFLOW: Final = REQUEST_THREADS + FLEET_THREADS  # with the 8: readiness and the background tasks
POOL_TIMEOUT_SECONDS: Final = 10
RETRY_SECONDS: Final = 5
"""How soon to ask again while the database is away."""

AUDITED: Final = "aigw_audited"
"""A session's place for the rows added to the audit by its transaction."""

_BEGIN = "aigw_sqlite_begin"


def limit_transaction(connection: Connection, lock_seconds: float, abandoned_seconds: float) -> None:
    """Have PostgreSQL end this transaction's waits for locks, and the transaction if its client is silent.

    Only this one's: a session behind a transaction-pooling proxy is not ours to set.
    """
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :lock, true), "
            "set_config('idle_in_transaction_session_timeout', :abandoned, true)"
        ),
        {"lock": _milliseconds(lock_seconds), "abandoned": _milliseconds(abandoned_seconds)},
    )


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


class Database:
    """A database by its URL (`sqlite:///…` or `postgresql+psycopg://…`).

    Attributes:
        outages: how many transactions found the database away or too busy.
        changes: committed changes, by kind.

    `reread` gives the present URL: each new connection to PostgreSQL has its host and password.
    """

    def __init__(
        self,
        url: str,
        *,
        reread: Callable[[], str] | None = None,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        abandoned_seconds: float = ABANDONED_SECONDS,
    ) -> None:
        self._busy_seconds, self._abandoned_seconds = busy_timeout_seconds, abandoned_seconds
        self.engine = _engine_of(url, reread or (lambda: url), busy_timeout_seconds)
        self._reader, self._writer = _transaction_kinds(self.engine)
        self._committed: list[Callable[[], None]] = []
        self._audited: list[Callable[[AuditTable], None]] = []
        self._closed = False
        event.listen(self.engine, "checkin", self._close_late)
        self.high_water = HighWater()
        self.outages = 0
        self.changes: Counter[str] = Counter()

    @property
    def connections_in_use(self) -> int:
        """How many of the pool's connections are in use."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @property
    def max_connections(self) -> int:
        """How many connections may be in use at once."""
        return POOL_SIZE + POOL_OVERFLOW

    @contextmanager
    def _outages_counted(self) -> Iterator[None]:
        try:
            yield
        except DatabaseUnavailable:
            self.outages += 1
            raise

    def on_commit(self, announce: Callable[[], None]) -> None:
        """Call `announce` after every committed write, from the writer's thread."""
        self._committed.append(announce)

    def on_audit(self, take: Callable[[AuditTable], None]) -> None:
        """Call `take` with every committed row of the audit, from the writer's thread."""
        self._audited.append(take)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view: everything read inside is of the same moment.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        with (
            self._outages_counted(),
            statements_mapped(),
            Session(self._reader, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction with a commit at the end and an announcement; rows stay readable afterwards.

        Raises:
            DatabaseUnavailable: the database does not answer, and nothing was changed.
            CommitUnknown: the connection was lost during the commit.
        """
        with self.quiet_write() as session:
            yield session
        for announce in self._committed:
            announce()

    @contextmanager
    def quiet_write(self) -> Iterator[Session]:
        """As `write`, for bookkeeping without waiting readers."""
        with (
            self._outages_counted(),
            statements_mapped(),
            Session(self._writer, expire_on_commit=False) as session,
        ):
            if self.engine.dialect.name == "postgresql":
                limit_transaction(session.connection(), self._busy_seconds, self._abandoned_seconds)
            yield session
            session.flush()  # what fails until here has changed nothing
            try:
                with commit_mapped():
                    session.commit()
            except CommitUnknown:
                session.invalidate()  # not a word more on that connection, so that nothing hides the finding
                raise
            for row in session.info.get(AUDITED, ()):
                for take in self._audited:
                    take(row)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A writing transaction below the ORM, for migrations; SQLAlchemy's own errors."""
        with self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every pooled connection, and a connection in use when its thread gives it back."""
        self._closed = True
        self.engine.dispose()

    def _close_late(self, connection: Any, record: ConnectionPoolEntry) -> None:
        # The pool that it came from is gone, or nobody will dispose of the next one.
        if self._closed and connection is not None:
            record.invalidate()


def _engine_of(url: str, reread: Callable[[], str], busy_timeout_seconds: float) -> Engine:
    parsed = checked_database_url(url)
    # A parameter may be anything; none belongs into an error message or a log line.
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
    }
    if parsed.get_backend_name() != "sqlite":
        return postgres_engine(parsed, reread, options)
    assert parsed.database is not None, "the URL was checked"
    Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(
        parsed, connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False}, **options
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _transaction_kinds(engine: Engine) -> tuple[Engine, Engine]:
    if engine.dialect.name == "sqlite":
        # A writer that begins as a reader and finds another writer committed meanwhile would fail with
        # SQLITE_BUSY_SNAPSHOT; IMMEDIATE makes it wait its turn instead.
        return (
            engine.execution_options(**{_BEGIN: "BEGIN"}),
            engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}),
        )
    return (engine.execution_options(isolation_level="REPEATABLE READ"), engine)


def _set_up_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE")
    connection.exec_driver_sql(begin)
