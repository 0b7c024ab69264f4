"""Readiness: its own thread, a single look for all callers, and an answer in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread
from sqlmodel import Session

from services.control_plane.readiness import Readiness
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store.database import Database
from shared.acknowledgement import Acknowledgement, encode_acknowledgement
from tests.unit.control_plane.world import World

ASKERS = 30
KEPT_SECONDS = 0.5


class SlowDatabase(Database):
    """A database with an answer only after its release; counts its callers."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.released = threading.Event()
        self.looks = 0

    @contextmanager
    def read(self) -> Iterator[Session]:
        self.looks += 1
        self.released.wait()
        with super().read() as session:
            yield session


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


async def test_however_many_ask_the_database_is_asked_once(world: World) -> None:
    database = SlowDatabase(world.database_url)
    readiness = Readiness(database, kept_seconds=KEPT_SECONDS)
    async with asyncio.TaskGroup() as group:
        for _ in range(ASKERS):
            group.create_task(readiness.require())
        await asyncio.sleep(0.05)
        assert database.looks == 1
        database.released.set()
    await readiness.require()
    assert database.looks == 1, "a good look answers for a while"
    await asyncio.sleep(2 * KEPT_SECONDS)
    await readiness.require()
    assert database.looks == 2
    readiness.close()
    database.close()


async def test_a_silent_database_is_not_ready_in_time_and_ready_again_later(world: World) -> None:
    database = SlowDatabase(world.database_url)
    readiness = Readiness(database, look_seconds=0.05)
    with pytest.raises(ProblemError) as caught:
        await readiness.require()
    assert caught.value.problem is Problem.NOT_READY
    database.released.set()
    await asyncio.sleep(0.1)
    await readiness.require()
    readiness.close()
    database.close()


async def test_stuffed_request_threads_hold_up_neither_readiness_nor_the_fleet(world: World) -> None:
    released = threading.Event()
    stuffed = int(to_thread.current_default_thread_limiter().total_tokens)
    async with asyncio.TaskGroup() as group:
        for _ in range(2 * stuffed):
            group.create_task(to_thread.run_sync(released.wait))
            group.create_task(asyncio.to_thread(released.wait))
        await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(5), world.client() as anybody, world.fleet() as fleet:
                assert (await anybody.get("/readyz")).status_code == 200
                assert (await fleet.get("/readyz")).status_code == 200
                snapshot = await fleet.get("/internal/v1/snapshot")
                assert snapshot.status_code == 200
                at = world.snapshot()
                report = Acknowledgement("process-1", at.epoch, at.revision, 0, True, (), True, ())
                body = encode_acknowledgement(report)
                path = "/internal/v1/acknowledgements"
                assert (await fleet.post(path, content=body)).status_code == 204
        finally:
            released.set()


async def test_a_database_that_is_no_database_of_ours_is_not_ready(world: World, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    readiness = Readiness(database)
    world.context = replace(world.context, readiness=readiness)
    async with world.client() as client:
        assert (await client.get("/readyz")).status_code == 503
    readiness.close()
    database.close()
