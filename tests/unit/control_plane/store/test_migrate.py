"""Migrations agree with the models and can be run by anybody at any time."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from services.control_plane.store import migrate
from services.control_plane.store.changes import counter
from services.control_plane.store.database import Database
from services.control_plane.store.nodes import all_nodes
from services.control_plane.store.snapshot import snapshot
from shared.config_feed import NodeRow
from tests.unit.control_plane.world import World


def test_models_and_migrations_agree(world: World) -> None:
    with world.database.connection() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_an_upgrade_of_what_is_current_changes_nothing(world: World) -> None:
    before = world.snapshot()
    migrate.upgrade(world.database)
    assert migrate.is_current(world.database)
    assert world.snapshot() == before


def test_an_empty_database_is_not_current(database_url: str) -> None:
    database = Database(database_url)
    assert not migrate.is_current(database)
    database.close()


def test_two_processes_that_upgrade_at_once_take_turns(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    failures: list[BaseException] = []

    def upgrade(database: Database) -> None:
        try:
            migrate.upgrade(database)
        except BaseException as error:  # noqa: BLE001  # reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with databases[0].read() as one, databases[1].read() as other:
        assert counter(one) == counter(other)
    for database in databases:
        database.close()


def test_a_node_of_the_schema_with_one_key_keeps_its_key(database_url: str) -> None:
    database = Database(database_url)
    migrate.upgrade(database, "0004")
    with database.connection() as connection:
        connection.exec_driver_sql("INSERT INTO nodes VALUES ('node-1', 'kid-1', 'key-1', 7, 1.5)")
    migrate.upgrade(database)
    assert migrate.is_current(database)
    with database.read() as session:
        assert all_nodes(session) == [NodeRow("node-1", "kid-1", "key-1")]
        assert snapshot(session).nodes == (NodeRow("node-1", "kid-1", "key-1"),)
    database.close()


def test_every_database_has_an_epoch_of_its_own(tmp_path: Path, world: World) -> None:
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    migrate.upgrade(other)
    with other.read() as session:
        assert counter(session).epoch != world.snapshot().epoch
        assert counter(session).revision == 0
    other.close()


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_sqlite_runs_in_wal_mode_and_checks_foreign_keys(world: World) -> None:
    with world.database.connection() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
    with sqlite3.connect(world.folder / "control-plane.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_a_schema_of_a_later_release_is_left_alone_and_served(world: World) -> None:
    """A rollback by a single release finds a later schema: migrations only add."""
    with world.database.connection() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = world.snapshot()
    migrate.upgrade(world.database)
    assert migrate.is_current(world.database)
    assert migrate.current(world.database) == "9999"
    assert world.snapshot() == before
