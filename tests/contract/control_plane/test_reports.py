"""Reports of a whole fleet that arrive at once, on the database of production."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.control_plane.store.database import Database
from services.control_plane.store.rollout import note_report
from services.control_plane.store.tables import TrafficTable
from shared.acknowledgement import Acknowledgement, Seen

PROCESSES = 8
ORGS = [f"org-{number}" for number in range(20)]


@pytest.fixture
def database(migrated_postgres_url: str) -> Iterator[Database]:
    opened = Database(migrated_postgres_url)
    yield opened
    opened.close()


def report(number: int) -> Acknowledgement:
    orgs = ORGS if number % 2 else list(reversed(ORGS))
    seen = tuple(Seen(org, "openai", "accepted", at=100.0 + number) for org in orgs)
    return Acknowledgement(f"process-{number}", "e", 1, 1.0, True, (), True, seen)


def test_processes_that_see_the_same_keys_first_do_not_fail_each_other(database: Database) -> None:
    def note(number: int) -> None:
        with database.quiet_write() as session:
            note_report(session, report(number), now=1_000.0)

    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(note, range(PROCESSES)))
    with database.read() as session:
        for org in ORGS:
            assert session.get_one(TrafficTable, (org, "openai")).accepted_at == 100.0 + PROCESSES - 1
