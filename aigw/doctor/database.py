"""Checks the control plane's database: reachable, writable, its schema, and the rights on every table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from aigw.doctor.finding import Finding
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

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


def examine_database(url: str) -> list[Finding]:
    """Check the database at `url`, in the way of the control plane; changes nothing. Blocks."""
    if url.startswith(_SQLITE) and (finding := _examine_file(Path(url.removeprefix(_SQLITE)))):
        return [finding]
    try:
        database = Database(url)
        try:
            return _examine(database)
        finally:
            database.close()
    except (SQLAlchemyError, DatabaseUnavailable, OSError) as error:
        return [_unusable(str(getattr(error, "orig", None) or error).partition("\n")[0])]


def _examine_file(path: Path) -> Finding | None:
    """Judge a missing or unwritable SQLite file; None for a file to open and examine."""
    if path.exists():
        if path.is_file() and os.access(path, os.R_OK | os.W_OK):
            return None
        return Finding("FAIL", _NAME, f"{path} is no file that this user may write", f"check {_SETTING}")
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = f"{folder} is no folder that this user may write"
        return Finding("FAIL", _NAME, found, f"check {_SETTING}, or mount a folder there")
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
    if "read-only" in words or "readonly" in words:
        remedy = f"point {_SETTING} at the primary, or at a database that takes writes"
        return Finding("FAIL", _NAME, f"it only takes reads ({reason})", remedy)
    if "keeps text as" in words:
        found, _, remedy = reason.partition("; ")
        return Finding("FAIL", _NAME, found, f"{remedy}, and point {_SETTING} at it")
    if "pooling mode" in words:
        return Finding(
            "FAIL", _NAME, f"it cannot be used ({reason})", "set PgBouncer's pool_mode=transaction"
        )
    if "permission denied" in words:
        return Finding(
            "FAIL", _NAME, f"it cannot be used ({reason})", f"grant that to the user in {_SETTING}"
        )
    if "certificate" in words or "ssl" in words:
        return Finding(
            "FAIL", _NAME, f"it cannot be used ({reason})", f"check sslmode and sslrootcert in {_SETTING}"
        )
    return Finding("FAIL", _NAME, f"it cannot be used ({reason})", f"check {_SETTING}")
