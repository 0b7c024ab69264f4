"""Reports of a whole fleet that arrive at once, on the database of production."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.control_plane.store.database import Database
from services.control_plane.store.rollout import note_report
from services.control_plane.store.tables import DataPlaneTable, TrafficTable
from shared.acknowledgement import (
    MAX_PENDING,
    MAX_REPORT_BYTES,
    MAX_SEEN,
    Acknowledgement,
    Pending,
    Seen,
    encode_acknowledgement,
    fitted,
)
from tests.unit.control_plane.world import World

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
            note_report(session, report(number), now=1_000.0, forget_seconds=100.0)

    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(note, range(PROCESSES)))
    with database.read() as session:
        for org in ORGS:
            assert session.get_one(TrafficTable, (org, "openai")).accepted_at == 100.0 + PROCESSES - 1


async def test_the_largest_report_that_a_data_plane_makes_is_taken(tmp_path: Path) -> None:
    orgs = [f"{number:03}" + "o" * 125 for number in range(MAX_PENDING)]
    whole = Acknowledgement(
        "process-large",
        "e",
        1,
        1.0,
        True,
        tuple(Pending(org, "anthropic") for org in orgs),
        True,
        tuple(Seen(org, "anthropic", "accepted", 1_700_000_000.5) for org in orgs[:MAX_SEEN]),
    )
    world = World(tmp_path)
    async with world.fleet() as fleet:
        path = "/internal/v1/acknowledgements"
        assert (await fleet.post(path, content=encode_acknowledgement(whole))).status_code == 413
        body = encode_acknowledgement(fitted(whole))
        assert len(body) > MAX_REPORT_BYTES - 1024
        assert (await fleet.post(path, content=body)).status_code == 204
    with world.database.read() as session:
        assert session.get_one(DataPlaneTable, "process-large").is_all_pending
    world.close()
