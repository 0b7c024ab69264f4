"""How PostgreSQL is connected to: a server with writes, also behind PgBouncer and after a failover.

A pooled connection outlives the role of its server. When a connection is taken, the server is therefore asked
whether writes are still allowed, at the cost of an ordinary liveness check; a read-only connection is given
up with the whole pool, and the next connection follows the host names of the moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, Dialect, Engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import create_engine

_CONNECT_OPTIONS: Final[dict[str, Any]] = {
    # How long libpq waits for a host that has vanished; its own default is the kernel's, many minutes.
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds until what was sent must have been received
    "keepalives_idle": 10,  # seconds, and so the next
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Of several hosts the one that takes writes; a standby or a database set read-only is refused.
    "target_session_attrs": "read-write",
}
_NO_PREPARED_STATEMENTS: Final[dict[str, Any]] = {"prepare_threshold": None}
"""Behind PgBouncer in transaction mode the next transaction is on another server connection, where a
prepared statement of the same name may be missing, or be another statement."""
READ_ONLY_TRANSACTION: Final = "25006"
"""PostgreSQL's error code (its manual, appendix A) for a write on a read-only server."""

_log = logging.getLogger(__name__)


def postgres_engine(url: URL, reread: Callable[[], str], pool_options: dict[str, Any]) -> Engine:
    """Make an engine; `reread` gives the present URL, for each new connection's host and password."""
    engine = create_engine(url, connect_args=_connect_options(url), **pool_options)
    event.listen(engine, "do_connect", _Address(url, reread).renew)
    # First of all, because the dialect's own look at a new connection already reads text.
    event.listen(
        engine, "connect", _EncodingCheck(engine.dialect.loaded_dbapi.OperationalError).ask, insert=True
    )
    event.listen(engine, "checkout", _WritableCheck(engine.dialect.loaded_dbapi.Error).ask)
    event.listen(engine, "handle_error", _drop_read_only)
    return engine


def sql_state(error: BaseException | None) -> str:
    """Give PostgreSQL's five-character code of an error of its driver; empty for any other."""
    state: str | None = getattr(error, "sqlstate", None)
    return state or ""


def _connect_options(url: URL) -> dict[str, Any]:
    own = {name: value for name, value in _CONNECT_OPTIONS.items() if name not in url.query}
    return own | _NO_PREPARED_STATEMENTS


class _Address:
    """Where to connect and as whom, read again for each connection: a password may have been rotated."""

    def __init__(self, url: URL, reread: Callable[[], str]) -> None:
        self._url = url
        self._reread = reread

    def renew(
        self, dialect: Dialect, _record: ConnectionPoolEntry, _arguments: list[Any], options: dict[str, Any]
    ) -> None:
        """Replace the engine's original parameters with the URL's present parameters."""
        self._url = self._present()
        options.clear()
        options.update(dialect.create_connect_args(self._url)[1])
        options.update(_connect_options(self._url))

    def _present(self) -> URL:
        try:
            url = make_url(self._reread())
            url.get_dialect()().create_connect_args(url)
        except (ValueError, ArgumentError, OSError) as error:
            # Never its text, which may hold a password.
            _log.warning("the database's URL cannot be read again: %s", type(error).__name__)
            return self._url
        return url if url.get_backend_name() == self._url.get_backend_name() else self._url


class _EncodingCheck:
    """Refuses a database that does not keep text as UTF-8: some names of people and orgs would be lost."""

    def __init__(self, driver_error: type[Exception]) -> None:
        self._driver_error = driver_error

    def ask(self, connection: Any, _record: ConnectionPoolEntry) -> None:
        """Read what the server says of itself at the start of a connection; no question is sent."""
        encoding = connection.info.parameter_status("server_encoding")
        if encoding in {None, "UTF8"}:  # a proxy may not pass it on
            return
        connection.close()
        raise self._driver_error(
            f"the database keeps text as {encoding}, not UTF8; make another one by "
            "CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )


class _WritableCheck:
    """Has the pool connect anew when a connection is dead, or its server takes no writes any more."""

    def __init__(self, driver_error: type[Exception]) -> None:
        self._driver_error = driver_error

    def ask(self, connection: Any, _record: ConnectionPoolEntry, _taken: Any) -> None:
        """Ask the server, outside of any transaction."""
        try:
            connection.autocommit = True
            row = connection.execute("SHOW transaction_read_only").fetchone()
            connection.autocommit = False
        except self._driver_error as error:
            raise InvalidatePoolError from error
        if row != ("off",):
            raise InvalidatePoolError


def _drop_read_only(context: ExceptionContext) -> None:
    """Count a read-only server as lost: every connection to this server is given up."""
    if sql_state(context.original_exception) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True
