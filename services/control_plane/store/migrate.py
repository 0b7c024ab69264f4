"""Brings a database to the newest schema by the Alembic migrations beside it, and says whether it is there.

A new migration is a new file in `migrations/versions`; a test compares their sum with `tables.py`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.control_plane.store.advisory_lock import wait_for_upgrade
from services.control_plane.store.database import Database

_SCRIPTS = Path(__file__).with_name("migrations")


def upgrade(database: Database, revision: str = "head") -> None:
    """Run every migration that is missing, in one transaction; two processes at once take turns.

    `revision` is the last one to run: all, but for tests of a migration.
    """
    with database.connection() as connection:
        wait_for_upgrade(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def is_current(database: Database) -> bool:
    """Whether the database is at the newest migration."""
    return current(database) == newest()


def current(database: Database) -> str | None:
    """Give the migration that the database is at; None for an empty one."""
    with database.connection() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Give the newest migration that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
