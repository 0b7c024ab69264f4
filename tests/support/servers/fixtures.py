"""Fixtures of the real servers: each starts when a test of a worker first asks, and ends with the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from tests.support.servers.fleet import Fleet
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault import VaultServer
from tests.support.servers.vault_store import VaultStore


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """The Redis of this worker."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> ValkeyServer:
    """The worker's Redis, empty."""
    with valkey_server.client() as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this worker."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, removed after the test."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """A database at the newest schema, the template of others: quicker than to migrate each."""
    url = postgres_server.new_database()
    _migrate(url)
    return url


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The URL of a database at the newest schema, removed after the test."""
    url = postgres_server.new_database(migrated_template)
    yield url
    postgres_server.drop_database(url)


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.close()


@pytest.fixture(scope="session")
def vault_server() -> Iterator[VaultServer]:
    """The Vault of this worker: unsealed, audited, set up by deploy/vault/setup.sh."""
    with VaultServer() as server:
        yield server


@pytest.fixture
def vault(vault_server: VaultServer) -> VaultStore:
    """A corner of the worker's Vault for this test only."""
    return VaultStore.new(vault_server)


@pytest.fixture
def fleet(
    tmp_path: Path, migrated_postgres_url: str, valkey: ValkeyServer, vault: VaultStore
) -> Iterator[Fleet]:
    """A fleet on real backends; a test starts its processes."""
    made = Fleet(tmp_path, migrated_postgres_url, valkey.url, vault)
    with made.running():
        yield made
