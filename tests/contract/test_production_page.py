"""docs/production.md: its SQL makes users with enough rights, and each secret is in its table."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from aigw.doctor.database import examine_database
from services.control_plane.settings import ControlPlaneSettings
from services.control_plane.store.changes import Author, changing
from services.control_plane.store.database import Database
from services.control_plane.store.orgs import put_org
from services.data_plane.settings import DataPlaneSettings
from services.node_agent.settings import NodeAgentSettings
from tests.support.commands import AIGW
from tests.support.gateway import clean_environment
from tests.support.servers.postgres import PostgresServer

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "production.md"
COMMAND_SECONDS: Final = 90
_SECRETS: Final = re.compile(r"^## Secrets that change\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_SQL: Final = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test: users belong to a whole server."""
    with PostgresServer() as server:
        yield server


def as_an_administrator(server: PostgresServer, script: str) -> None:
    """Run a script of psql's, statement by statement."""
    parts = re.split(r"^\\connect (\w+)\n", script, flags=re.MULTILINE)
    for name, text in zip(["postgres", *parts[1::2]], parts[::2], strict=True):
        with psycopg.connect(
            host="127.0.0.1",
            port=server.port,
            user="postgres",
            password=server.password,
            dbname=name,
            autocommit=True,
        ) as connection:
            for statement in filter(str.strip, text.split(";\n")):
                connection.execute(statement.encode())


def url(server: PostgresServer, user: str, password: str) -> str:
    return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{server.port}/aigw"


def test_the_owner_migrates_and_the_other_user_runs_the_control_plane(server: PostgresServer) -> None:
    (script,) = _SQL.findall(PAGE.read_text())
    as_an_administrator(server, script)
    owner, running = (
        url(server, "aigw_owner", "PASSWORD_OF_THE_OWNER"),
        url(server, "aigw", "PASSWORD"),
    )
    done = subprocess.run(
        [*AIGW, "db", "upgrade"],
        env=clean_environment(
            AIGW_DATABASE_URL=owner,
            AIGW_INTERNAL_TOKEN="a-token-of-the-test-only",
            AIGW_ENVIRONMENT="development",
        ),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = examine_database(running)
    assert found.grade == "ok", str(found)
    database = Database(running)
    with changing(database) as session:
        put_org(session, Author("platform", 1.0), "acme", "Acme")
    database.close()
    with psycopg.connect(running.replace("+psycopg", ""), autocommit=True) as connection:
        refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
        with refused:
            connection.execute("ALTER TABLE orgs ADD COLUMN more text")


def test_every_secret_setting_says_when_its_change_is_in_force() -> None:
    (table,) = _SECRETS.findall(PAGE.read_text())
    named = set(re.findall(r"AIGW_[A-Z_]+", table))
    secrets = {
        f"AIGW_{name.upper()}"
        for settings in (ControlPlaneSettings, DataPlaneSettings, NodeAgentSettings)
        for name, field in settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    assert secrets <= named, "docs/production.md has no row for these"
