"""The one door to the database: which connections remain after its close."""

from __future__ import annotations

from typing import Any

from services.control_plane.store.database import Database


def driver_connection(database: Database) -> Any:
    """Take a connection out of the pool, as a thread running a statement does."""
    connection = database.engine.raw_connection()
    assert connection.driver_connection is not None
    return connection


def is_closed(connection: Any) -> bool:
    """Whether the driver refuses to use the connection, whichever driver is in use."""
    try:
        connection.cursor().execute("SELECT 1")
    except Exception as error:  # noqa: BLE001  # each driver has its own error
        return "closed" in str(error)
    return False


def test_a_connection_in_use_while_the_database_closes_is_closed_when_it_is_given_back(
    database_url: str,
) -> None:
    database = Database(database_url)
    used = driver_connection(database)
    of_driver = used.driver_connection
    database.close()
    assert not is_closed(of_driver), "a transaction may end well"
    used.close()
    assert is_closed(of_driver)


def test_a_connection_that_is_made_after_the_database_was_closed_does_not_stay_open(
    database_url: str,
) -> None:
    database = Database(database_url)
    database.close()
    late = driver_connection(database)
    of_driver = late.driver_connection
    late.close()
    assert is_closed(of_driver)
