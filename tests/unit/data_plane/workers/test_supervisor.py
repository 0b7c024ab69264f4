"""Tests of the supervisor of workers, with workers that are no processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from services.data_plane.workers.supervisor import EXIT_UNUSABLE, Supervisor, WorkerUnusableError
from shared.tasks import TaskSet
from tests.support.polling import eventually


class FakeWorker:
    """A worker that is ready at once and ends when told so."""

    def __init__(self, pid: int, *, ready: bool = True, obeys: bool = True) -> None:
        self.pid = pid
        self.ready = ready
        self._obeys = obeys
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def is_ready(self) -> bool:
        return self.ready and not self._ended.done()

    def terminate(self) -> None:
        if self._obeys:
            self.end(0)

    def kill(self) -> None:
        self.end(-9)

    def end(self, exit_code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(exit_code)


class Fleet:
    """Launches fake workers and remembers them."""

    def __init__(self, **kind: bool) -> None:
        self._kind = kind
        self.launched: list[tuple[int, FakeWorker]] = []
        self.ended: list[int] = []
        self.stop = asyncio.Event()
        self.closed = False
        self.supervisor = Supervisor(self._launch, 2, drain_seconds=-4.9, on_end=self.ended.append)

    async def _launch(self, number: int) -> FakeWorker:
        worker = FakeWorker(len(self.launched) + 1, **self._kind)
        self.launched.append((number, worker))
        return worker

    def _close(self) -> None:
        self.closed = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        tasks = TaskSet()
        run = tasks.start(self.supervisor.run(stop=self.stop, stopping=self._close), "supervisor")
        try:
            await self.until(lambda: len(self.launched) == 2)
            yield run
        finally:
            self.stop.set()
            await tasks.aclose()

    @staticmethod
    async def until(reached: Callable[[], bool]) -> None:
        async def check() -> bool:
            return reached()

        await eventually(check, "the supervisor did what was waited for")


async def test_a_worker_that_was_ready_and_ends_is_started_anew_at_once_under_its_number() -> None:
    fleet = Fleet()
    async with fleet.running():
        await fleet.until(lambda: all(worker.was_ready for worker in fleet.supervisor.workers))
        number, worker = fleet.launched[0]
        worker.end(-9)
        await fleet.until(lambda: len(fleet.launched) == 3)
        assert fleet.launched[2][0] == number
        assert fleet.supervisor.restarts == 1
        assert len(fleet.ended) == 1
        assert len({worker.identity for worker in fleet.supervisor.workers} | set(fleet.ended)) == 3


async def test_it_is_ready_once_all_are_and_stays_so_while_one_is() -> None:
    fleet = Fleet(ready=False)
    async with fleet.running():
        (_, first), (_, second) = fleet.launched
        first.ready = True
        assert not await fleet.supervisor.is_ready()
        second.ready = True
        assert await fleet.supervisor.is_ready()
        first.ready = False
        assert await fleet.supervisor.is_ready()
        second.ready = False
        assert not await fleet.supervisor.is_ready()


async def test_a_stop_closes_the_sockets_first_and_drains_every_worker() -> None:
    fleet = Fleet()
    async with fleet.running() as run:
        assert await fleet.supervisor.is_ready()
        fleet.stop.set()
        await run
        assert fleet.closed
        assert not await fleet.supervisor.is_ready()
        assert fleet.supervisor.workers == []
        assert len(fleet.launched) == 2


async def test_a_worker_that_does_not_drain_in_time_is_killed() -> None:
    fleet = Fleet(obeys=False)
    async with fleet.running() as run:
        fleet.stop.set()
        await run
        assert [await worker.wait() for _, worker in fleet.launched] == [-9, -9]


async def test_a_worker_that_cannot_start_ends_the_others_and_says_so() -> None:
    fleet = Fleet(ready=False)
    async with fleet.running() as run:
        fleet.launched[1][1].end(EXIT_UNUSABLE)
        with pytest.raises(WorkerUnusableError, match="exit code 2"):
            await run
        assert await fleet.launched[0][1].wait() == 0


async def test_a_worker_that_ends_before_it_was_ready_is_started_anew_after_a_pause() -> None:
    fleet = Fleet(ready=False)
    async with fleet.running():
        fleet.launched[0][1].end(1)
        await asyncio.sleep(0.05)
        assert len(fleet.launched) == 2
        await fleet.until(lambda: len(fleet.launched) == 3)
