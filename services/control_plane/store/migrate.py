"""Brings a database to the newest schema by the Alembic migrations, and reports the present schema.

A new migration is a new file in `migrations/versions`; a test compares their sum with `tables.py`.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.control_plane.store.advisory_lock import wait_for_upgrade
from services.control_plane.store.database import Database

_SCRIPTS = Path(__file__).with_name("migrations")
_log = logging.getLogger(__name__)


def upgrade(database: Database, revision: str = "head") -> None:
    """Run every missing migration, in a single transaction; two processes at once take turns.

    A schema newer than this program stays unchanged: migrations only add, so a release after a rollback works
    on the schema of the next release. `revision` is the last migration to run: all, but for tests of a
    migration.
    """
    with database.connection() as connection:
        wait_for_upgrade(connection)
        there = MigrationContext.configure(connection).get_current_revision()
        if not _is_known(there):
            _log.warning("the database has schema %s, which is newer than this program: left as it is", there)
            return
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def is_current(database: Database) -> bool:
    """Whether the database is at the newest migration, or at a migration newer than this program."""
    there = current(database)
    return there == newest() or not _is_known(there)


def current(database: Database) -> str | None:
    """Give the database's present migration; None for an empty database."""
    with database.connection() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Give the newest migration known to this program."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _is_known(revision: str | None) -> bool:
    """Whether this program has the revision; an empty database has none, and is known as well."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is None or revision in known


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
