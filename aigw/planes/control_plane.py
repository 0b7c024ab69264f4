"""Building a control plane with readable failures, running the plane, and looking after its database."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from aigw.failures import UserError
from services.control_plane.bootstrap import ControlPlane, SchemaOutdated
from services.control_plane.secrets.port import SecretStoreError
from services.control_plane.settings import ControlPlaneSettings
from services.control_plane.store import changes, migrate
from services.control_plane.store.changes import changing
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.memory_stream import MemoryStream


def build_control_plane(settings: ControlPlaneSettings, stream: MemoryStream | None) -> ControlPlane:
    """Build a control plane; raises `UserError` for faults in its operator's hands."""
    try:
        with _database_failures():
            return ControlPlane.build(settings, stream=stream)
    except (SchemaOutdated, SecretStoreError) as error:
        raise UserError(str(error)) from None


def upgrade_database() -> None:
    """Run the missing migrations; raises `UserError`."""
    with _opened_database() as database:
        migrate.upgrade(database)


def schema_of_database() -> tuple[str | None, str | None]:
    """Give the database's present migration, and the newest; raises `UserError`."""
    with _opened_database() as database:
        return migrate.current(database), migrate.newest()


def schema_can_be_served() -> bool:
    """Whether a control plane of this release starts on the present database; raises `UserError`."""
    with _opened_database() as database:
        return migrate.is_current(database)


def begin_epoch() -> str:
    """Begin a new epoch after a restore of the database; give its new epoch. Raises `UserError`."""
    with _opened_database() as database, changing(database) as session:
        return changes.begin_epoch(session).epoch


@contextlib.contextmanager
def _opened_database() -> Iterator[Database]:
    with _database_failures():
        database = Database(ControlPlaneSettings().database_url)
        try:
            yield database
        finally:
            database.close()


@contextlib.contextmanager
def _database_failures() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # The driver's own words, first line: they name the host or file, never the password.
        raise _unusable_database(str(error.orig).partition("\n")[0]) from None
    except DatabaseUnavailable as error:
        raise _unusable_database(str(error)) from None
    except OSError as error:
        raise _unusable_database(str(error.strerror)) from None


def _unusable_database(reason: str) -> UserError:
    return UserError(f"AIGW_DATABASE_URL: the database cannot be used ({reason}).")


async def run_control_plane(stop: asyncio.Event) -> None:
    """Run a control plane from the environment until `stop`."""
    plane = build_control_plane(ControlPlaneSettings(), None)

    def started() -> None:
        sys.stderr.write(f"Control plane on port {plane.public_port}, fleet on {plane.internal_port}\n")

    await plane.run(started=started, stop=stop)
