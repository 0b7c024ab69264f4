"""The janitor's round: every org, in turns with other processes, and never a pinned version."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from services.control_plane import secret_janitor
from services.control_plane.api.integration_writes import IntegrationEdit, Target
from services.control_plane.rules.integration import KEEP
from services.control_plane.rules.problems import ProblemError
from services.control_plane.rules.secret_versions import MAX_PIN_SECONDS, ORPHAN_SECONDS, SUPERSEDED_SECONDS
from services.control_plane.secret_janitor import BATCH_ORGS, ROUND_SECONDS, SecretJanitor
from services.control_plane.secrets.memory import MemorySecretWriter
from services.control_plane.store.changes import PLATFORM, Author, changing
from services.control_plane.store.orgs import put_org
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.control_plane.world import KEY, OWNER, FakeClock, World


def set_up(world: World) -> None:
    world.writes.put(Target("acme", "openai", OWNER, "*"), IntegrationEdit(Secret(KEY), KEEP, enabled=True))


def orphan(world: World, version: int, org: str = "acme") -> None:
    world.memory.write(SecretDocument(org, "openai", "https://api.openai.com/v1", Secret(KEY)), version)


def janitor_of(world: World) -> SecretJanitor:
    return SecretJanitor(world.database, world.memory, world.clock)


@pytest.fixture
def aged(world: World) -> World:
    """A world whose store and rows go by one clock."""
    world.memory._clock = world.clock
    return world


def versions(world: World, org: str = "acme") -> set[int]:
    return set(world.memory.stored(org, "openai"))


def test_orphans_and_replaced_versions_go_after_their_grace_and_the_pinned_one_stays(aged: World) -> None:
    set_up(aged)
    set_up(aged)
    orphan(aged, 3)
    janitor = janitor_of(aged)
    assert janitor.tidy_batch() == 0
    aged.clock.now += max(ORPHAN_SECONDS, ROUND_SECONDS)
    assert janitor.tidy_batch() == 1
    assert versions(aged) == {1, 2}
    aged.clock.now += SUPERSEDED_SECONDS
    assert janitor.tidy_batch() == 1
    assert versions(aged) == {2}


def test_an_orphan_of_an_integration_that_never_came_to_be_goes_too(aged: World) -> None:
    orphan(aged, 1)
    aged.clock.now += ORPHAN_SECONDS
    assert janitor_of(aged).tidy_batch() == 1


def test_a_cleared_integration_pins_nothing(aged: World) -> None:
    set_up(aged)
    aged.writes.clear(Target("acme", "openai", OWNER, "*"))
    aged.clock.now += ORPHAN_SECONDS
    assert janitor_of(aged).tidy_batch() == 1
    assert versions(aged) == set()


def test_a_round_takes_every_org_once_however_many_processes_go(aged: World) -> None:
    orgs = [f"org-{number:03}" for number in range(2 * BATCH_ORGS + 5)]
    for org in orgs:
        with changing(aged.database) as session:
            put_org(session, Author(PLATFORM, 0.0), org, org)
        orphan(aged, 1, org)
    aged.clock.now += ORPHAN_SECONDS
    processes = [janitor_of(aged), janitor_of(aged)]
    assert [processes[turn % 2].tidy_batch() for turn in range(4)] == [BATCH_ORGS - 1, BATCH_ORGS, 6, 0]
    orphan(aged, 2, orgs[0])
    aged.clock.now += ROUND_SECONDS
    assert processes[0].tidy_batch() == 1


def test_a_store_that_fails_is_asked_again_in_the_next_round(
    aged: World, caplog: pytest.LogCaptureFixture
) -> None:
    orphan(aged, 1)
    aged.clock.now += ORPHAN_SECONDS
    aged.memory.failing = True
    with caplog.at_level(logging.WARNING):
        assert janitor_of(aged).tidy_batch() == 0
    assert "not tidied" in caplog.text
    aged.memory.failing = False
    aged.clock.now += ROUND_SECONDS
    assert janitor_of(aged).tidy_batch() == 1


async def test_it_runs_until_cancelled(aged: World) -> None:
    orphan(aged, 1)
    aged.clock.now += ORPHAN_SECONDS
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(janitor_of(aged).run())
        async with asyncio.timeout(20):
            while versions(aged):  # noqa: ASYNC110  # the store is all there is to see
                await asyncio.sleep(0.01)
        task.cancel()


def test_a_write_that_took_too_long_to_commit_is_given_up(tmp_path: Path) -> None:
    class Slow(MemorySecretWriter):
        """A store answering only after the janitor may have taken the version for unused."""

        clock: FakeClock

        def write(self, document: SecretDocument, version: int) -> None:
            super().write(document, version)
            self.clock.now += MAX_PIN_SECONDS

    slow = Slow()
    world = World(tmp_path, secrets=slow)
    slow.clock = world.clock
    before = world.revision()
    with pytest.raises(ProblemError, match="SECRET_STORE_UNAVAILABLE"):
        set_up(world)
    assert world.revision() == before
    world.close()


def test_its_pace_is_bounded() -> None:
    questions_a_second = 2 * BATCH_ORGS / secret_janitor.PAUSE_SECONDS
    assert questions_a_second <= 5
