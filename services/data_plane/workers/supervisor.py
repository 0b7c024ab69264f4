"""Keeps a number of worker processes running: starts, replaces, and at the stop drains them.

The supervisor holds every listening socket open, so connections arriving during a worker's restart wait in
the worker's queue and are not refused. The work of a worker is no concern of this file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.tasks import TaskSet

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
MAX_PAUSE_SECONDS: Final = 30.0
READY_POLL_SECONDS: Final = 0.1
STOP_MARGIN_SECONDS: Final = 5.0
"""Beyond the drain: a worker still running afterwards is killed."""
EXIT_UNUSABLE: Final = 2
"""The exit code of a worker unable to start at all, for example because of its settings."""


class WorkerProcess(Protocol):
    """A worker: a process, and its answers about itself."""

    @property
    def pid(self) -> int:
        """The id of the process."""
        ...

    async def wait(self) -> int:
        """Wait for the end; gives the exit code, negative for a signal."""
        ...

    async def is_ready(self) -> bool:
        """Tell whether the worker serves boxes; False too when no answer came."""
        ...

    def terminate(self) -> None:
        """Ask the worker to drain and end."""
        ...

    def kill(self) -> None:
        """End the worker at once."""
        ...


class WorkerUnusableError(Exception):
    """A worker ended before any worker was ready: a restart would end the same way."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"a worker could not start (exit code {exit_code}); its reason stands above")
        self.exit_code = exit_code


@dataclass(slots=True)
class Worker:
    """A running worker.

    Attributes:
        number: which worker of the count, from 0; its successor has the same.
        identity: different from every other worker's before and after.
        process: the process.
        was_ready: whether the worker has served boxes.
    """

    number: int
    identity: int
    process: WorkerProcess
    was_ready: bool = field(default=False)


class Supervisor:
    """Runs workers.

    Args:
        launch: starts the worker of a number.
        count: how many run at once.
        drain_seconds: how long a worker may take to end by itself.
        on_end: is told the identity of each ended worker.
    """

    def __init__(
        self,
        launch: Callable[[int], Awaitable[WorkerProcess]],
        count: int,
        *,
        drain_seconds: float,
        on_end: Callable[[int], None],
    ) -> None:
        self._launch = launch
        self._count = count
        self._drain_seconds = drain_seconds
        self._on_end = on_end
        self._workers: dict[int, Worker] = {}
        self._identities = 0
        self._stopping = asyncio.Event()
        self._all_were_ready = False
        self.restarts = 0

    @property
    def workers(self) -> list[Worker]:
        """The running workers."""
        return list(self._workers.values())

    async def is_ready(self) -> bool:
        """Tell whether boxes should be sent here: first with every worker ready, later with at least one."""
        if self._stopping.is_set():
            return False
        answers = await asyncio.gather(*(worker.process.is_ready() for worker in self.workers))
        if len(answers) == self._count and all(answers):
            self._all_were_ready = True
        return self._all_were_ready and any(answers)

    async def run(self, *, stop: asyncio.Event, stopping: Callable[[], None]) -> None:
        """Run every worker until `stop` is set, then drain them.

        `stopping` is called before the workers are told to drain: this call closes the listening sockets held
        by the supervisor, or connections would wait in queues without a reader.

        Raises:
            WorkerUnusableError: no worker can start.
        """
        tasks = TaskSet()
        keepers = [tasks.start(self._keep(number), f"worker {number}") for number in range(self._count)]
        stopped = tasks.start(stop.wait(), "stop of the workers")
        try:
            done, _ = await asyncio.wait({stopped, *keepers}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            stopping()
            await self._drain()
            for keeper in done - {stopped}:
                raise WorkerUnusableError(keeper.result())
        finally:
            self._stopping.set()
            for worker in self.workers:
                worker.process.kill()
            await tasks.aclose()

    async def _keep(self, number: int) -> int:
        """Run worker after worker, with a growing pause after a worker that never became ready.

        Ends with the exit code of a worker unable to start, or with 0 at the stop.
        """
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            worker = await self._start(number)
            watch = TaskSet()
            watch.start(_note_readiness(worker), f"readiness of worker {number}")
            try:
                exit_code = await worker.process.wait()
            finally:
                await watch.aclose()
                del self._workers[worker.identity]
            self._on_end(worker.identity)
            if self._stopping.is_set():
                break
            if exit_code == EXIT_UNUSABLE and not worker.was_ready:
                return exit_code
            self.restarts += 1
            logger.error("worker %d ended unasked (exit code %d); starting it anew", number, exit_code)
            if worker.was_ready:
                pause = FIRST_PAUSE_SECONDS
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
        return 0

    async def _start(self, number: int) -> Worker:
        process = await self._launch(number)
        self._identities += 1
        worker = self._workers[self._identities] = Worker(number, self._identities, process)
        return worker

    async def _drain(self) -> None:
        """Have every worker end by itself; workers running after the deadline are killed and logged."""
        waits = []
        for worker in self.workers:
            worker.process.terminate()
            waits.append(worker.process.wait())
        try:
            async with asyncio.timeout(self._drain_seconds + STOP_MARGIN_SECONDS):
                await asyncio.gather(*waits)
        except TimeoutError:
            logger.warning("%d workers did not end in time and are killed", len(self._workers))


async def _note_readiness(worker: Worker) -> None:
    while not await worker.process.is_ready():  # noqa: ASYNC110  # the worker is another process
        await asyncio.sleep(READY_POLL_SECONDS)
    worker.was_ready = True
