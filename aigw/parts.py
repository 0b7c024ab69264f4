"""Long-running parts of one process: started in turn, each with a stop of its own, and stopped in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

STOP_SECONDS: Final = 8.0
"""How long one part may take to stop before it is cancelled; its own drain time is shorter."""

Run = Callable[[Callable[[], None], asyncio.Event], Coroutine[Any, Any, None]]
"""Runs a part, given what to call once it has started and the event that stops it."""


class PartEndedError(RuntimeError):
    """A part that ended although nobody stopped it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a task group: a failure of one cancels whatever else runs in the group."""

    group: asyncio.TaskGroup
    _running: list[tuple[asyncio.Task[None], asyncio.Event]] = field(default_factory=list)

    async def start(self, name: str, run: Run) -> None:
        """Run a part in the background; returns once it has started. It may fail until then or later."""
        started, stop = asyncio.Event(), asyncio.Event()
        task = self.group.create_task(_run(name, run, started, stop), name=name)
        self._running.append((task, stop))
        # A part that fails before it has started ends this wait too: the group cancels it.
        await started.wait()

    async def stop(self) -> None:
        """Stop the parts, the last one first; one that does not end in time is cancelled."""
        for task, stop in reversed(self._running):
            stop.set()
            _, late = await asyncio.wait({task}, timeout=STOP_SECONDS)
            for part in late:
                part.cancel()


async def _run(name: str, run: Run, started: asyncio.Event, stop: asyncio.Event) -> None:
    await run(started.set, stop)
    if not stop.is_set():
        raise PartEndedError(f"the {name} ended by itself")
