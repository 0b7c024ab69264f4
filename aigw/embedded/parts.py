"""Long-running parts of a process: started in turn, each with a stop of its own, and stopped in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

STOP_SECONDS: Final = 8.0
"""The time for a part to stop before being cancelled; its own drain time is shorter."""

Run = Callable[[Callable[[], None], asyncio.Event], Coroutine[Any, Any, None]]
"""Runs a part, given the callback for its start and the event for its stop."""


class PartEndedError(RuntimeError):
    """A part ended without being stopped."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a task group: a failed part cancels all other tasks of the group."""

    group: asyncio.TaskGroup
    _running: list[tuple[asyncio.Task[None], asyncio.Event]] = field(default_factory=list)

    async def start(self, name: str, run: Run) -> None:
        """Run a part in the background; returns once the part has started, or raises the error of its start.

        A later failure belongs to the group and cancels everything else.
        """
        up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = self.group.create_task(_run(name, run, up, stop), name=name)
        self._running.append((task, stop))
        await up

    async def stop(self) -> None:
        """Stop the parts, the last started first; a part still running after its time is cancelled."""
        for task, stop in reversed(self._running):
            stop.set()
            _, late = await asyncio.wait({task}, timeout=STOP_SECONDS)
            for part in late:
                part.cancel()


async def _run(name: str, run: Run, up: asyncio.Future[None], stop: asyncio.Event) -> None:
    def started() -> None:
        if not up.done():
            up.set_result(None)

    try:
        await run(started, stop)
    except Exception as error:
        if up.done():
            raise
        up.set_exception(error)
        return
    if not stop.is_set():
        raise PartEndedError(f"the {name} ended by itself")
