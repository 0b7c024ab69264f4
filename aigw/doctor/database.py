"""Checks the control plane's database: reachable, writable, its schema, and the rights on every table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from aigw.doctor.backend_servers import database_servers
from aigw.doctor.clocks import examine_clock, read_clock
from aigw.doctor.finding import Finding, with_faults
from aigw.doctor.folders import is_there, unwritable
from aigw.doctor.served_certificates import examine_served
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from shared.clock import unix_now

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.clock import Clock

_NAME: Final = "control plane: database"
_SETTING: Final = "AIGW_DATABASE_URL"
_SQLITE: Final = "sqlite:///"

TABLE_RIGHTS: Final[dict[str, tuple[str, ...]]] = {
    "alembic_version": ("SELECT",),
    "audit": ("SELECT", "INSERT"),
    "counter": ("SELECT", "UPDATE"),
    "data_planes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "integrations": ("SELECT", "INSERT", "UPDATE"),
    "janitor": ("SELECT", "UPDATE"),
    "members": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "node_keys": ("SELECT", "INSERT", "DELETE"),
    "nodes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "orgs": ("SELECT", "INSERT", "UPDATE"),
    "outbox": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "sessions": ("SELECT", "INSERT", "DELETE"),
    "sign_in_tickets": ("SELECT", "INSERT", "DELETE"),
    "traffic": ("SELECT", "INSERT", "UPDATE"),
}
"""A running control plane's rights on each table; the migrations need the owner's rights besides."""

_CLOCK: Final = text("SELECT extract(epoch FROM clock_timestamp())")
_LACKING_TABLES: Final = text(
    "SELECT c.relname, r.wanted "
    "FROM unnest(CAST(:tables AS text[]), CAST(:rights AS text[])) AS r(tbl, wanted) "
    "JOIN pg_class c ON c.oid = to_regclass(r.tbl) "
    "WHERE NOT has_table_privilege(c.oid, r.wanted) ORDER BY c.relname, r.wanted"
)
# An identity column needs no right of its own; a column whose default is nextval() does.
_LACKING_SEQUENCES: Final = text(
    "SELECT s.relname FROM unnest(CAST(:tables AS text[])) AS t(tbl) "
    "JOIN pg_depend d ON d.refobjid = to_regclass(t.tbl) AND d.deptype = 'a' "
    "JOIN pg_class s ON s.oid = d.objid "
    # A CASE, because the planner may ask for the privilege first, and other classes have none to ask for.
    "WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') ELSE false END "
    "ORDER BY s.relname"
)


def examine_database(url: str, *, clock: Clock = unix_now) -> list[Finding]:
    """Check the database at `url`, in the way of the control plane; changes nothing. Blocks."""
    if url.startswith(_SQLITE) and (finding := _examine_file(Path(url.removeprefix(_SQLITE)))):
        return [finding]
    try:
        database = Database(url)
        try:
            return with_faults(_examine(database), _examine_clock(database, clock))
        finally:
            database.close()
    except (SQLAlchemyError, DatabaseUnavailable, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        # libpq does not say why a certificate is refused.
        dates = examine_served(_NAME, database_servers(url), clock) if "certificate" in reason else []
        return [found for found in dates if found.grade == "FAIL"] or [_unusable(reason)]


def _examine_clock(database: Database, clock: Clock) -> list[Finding]:
    if database.engine.dialect.name == "sqlite":
        return []
    with database.connection() as connection:
        reading = read_clock(lambda: float(connection.execute(_CLOCK).scalar_one()), clock)
    return examine_clock(_NAME, f"the database ({_SETTING})", reading)


def _examine_file(path: Path) -> Finding | None:
    """Judge a missing or unwritable SQLite file; None for a file to open and examine."""
    if is_there(path):
        may_write = path.is_file() and os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        # Beside the file SQLite writes its journal.
        if may_write and (reason := unwritable(path.parent)):
            return Finding("FAIL", _NAME, reason.text, f"check {_SETTING}, and {reason.remedy}")
        if may_write:
            return None
        return Finding("FAIL", _NAME, f"{path} is no file that this user may write", f"check {_SETTING}")
    if reason := unwritable(path.parent):
        return Finding("FAIL", _NAME, reason.text, f"check {_SETTING}, and {reason.remedy}")
    return Finding("ok", _NAME, "a new file will be made at the first start")


def _examine(database: Database) -> list[Finding]:
    there, newest = migrate.current(database), migrate.newest()
    is_sqlite = database.engine.dialect.name == "sqlite"
    if not migrate.is_current(database) and not is_sqlite:
        found = f"its schema is {there or 'empty'}, this program's is {newest}"
        return [Finding("FAIL", _NAME, found, "run: aigw db upgrade")]
    if is_sqlite:
        return [Finding("ok", _NAME, f"reachable and writable, schema {there}")]
    with database.connection() as connection:
        if lacking := _lacking(connection):
            found = f"its user may not {'; '.join(lacking)}"
            remedy = f"grant that to the user in {_SETTING}, see docs/doctor.md"
            return [Finding("FAIL", _NAME, found, remedy)]
        way = ", through a pooler" if _is_pooled(connection) else ""
    newer = "" if there == newest else f"; this program's is {newest}"
    return [Finding("ok", _NAME, f"reachable and writable{way}, schema {there}{newer}")]


def _lacking(connection: Connection) -> list[str]:
    """Name the rights on tables and sequences missing for the user."""
    pairs = [(table, right) for table, rights in TABLE_RIGHTS.items() for right in rights]
    tables, rights = (list(column) for column in zip(*pairs, strict=True))
    found: dict[str, list[str]] = {}
    for table, right in connection.execute(_LACKING_TABLES, {"tables": tables, "rights": rights}):
        found.setdefault(table, []).append(right)
    lacking = [f"{', '.join(held)} on {table}" for table, held in found.items()]
    sequences = connection.execute(_LACKING_SEQUENCES, {"tables": list(TABLE_RIGHTS)}).scalars()
    return [*lacking, *(f"USAGE on sequence {sequence}" for sequence in sequences)]


def _is_pooled(connection: Connection) -> bool:
    """Whether something like PgBouncer is between: the serving process differs from the announced process."""
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection in use has one of its driver"
    announced: int = driver.info.backend_pid
    return bool(connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != announced)


def _unusable(reason: str) -> Finding:
    """Give the finding of a failure, with the remedy for its words."""
    words = reason.lower()
    if "keeps text as" in words:
        found, _, remedy = reason.partition("; ")
        return Finding("FAIL", _NAME, found, f"{remedy}, and point {_SETTING} at it")
    for part, begin, remedy in _CAUSES:
        if part in words:
            return Finding("FAIL", _NAME, f"{begin} ({reason})", remedy)
    return Finding("FAIL", _NAME, f"{_UNUSABLE} ({reason})", f"check {_SETTING}")


_UNUSABLE: Final = "it cannot be used"
_READ_ONLY: Final = (
    "it only takes reads",
    f"point {_SETTING} at the primary, or at a database that takes writes",
)
_CAUSES: Final = (
    ("read-only", *_READ_ONLY),
    ("readonly", *_READ_ONLY),
    ("pooling mode", _UNUSABLE, "set PgBouncer's pool_mode=transaction"),
    ("permission denied", _UNUSABLE, f"grant that to the user in {_SETTING}"),
    ("certificate", _UNUSABLE, f"check sslmode and sslrootcert in {_SETTING}"),
    ("ssl", _UNUSABLE, f"check sslmode and sslrootcert in {_SETTING}"),
)
"""Words of a failure, the begin of the finding, and the remedy; the first that fits."""
