"""Brings a database to the newest schema by the Alembic migrations beside it, and says whether it is there.

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
    """Run every migration that is missing, in one transaction; two processes at once take turns.

    A schema that is newer than this program stays as it is: migrations only add, so that a release that is
    rolled back works on the schema of the next one.
    `revision` is the last one to run: all, but for tests of a migration.
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
    """Whether the database is at the newest migration, or at one that is newer than this program."""
    there = current(database)
    return there == newest() or not _is_known(there)


def current(database: Database) -> str | None:
    """Give the migration that the database is at; None for an empty one."""
    with database.connection() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Give the newest migration that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _is_known(revision: str | None) -> bool:
    """Whether the revision is one of this program's; an empty database has none, and is known as well."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is None or revision in known


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
