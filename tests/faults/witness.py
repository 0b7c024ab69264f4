"""Watches every data plane's revision from outside: within an epoch, the revision may only grow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import httpx

from shared.tasks import TaskSet

if TYPE_CHECKING:
    from tests.faults.site import Site
    from tests.support.servers.fleet import Plane

LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class Witness:
    """Looks inside `async with`. `steps_back`: how often a process went back to an older revision."""

    site: Site
    steps_back: int = 0
    _tasks: TaskSet = field(default_factory=TaskSet)

    async def __aenter__(self) -> Self:
        for plane in self.site.data_planes:
            self._tasks.start(self._watch(plane), "witness")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.aclose()

    async def _watch(self, plane: Plane) -> None:
        before: tuple[int, str, int] | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                epoch, revision = await self.site.position(plane)
            except httpx.HTTPError:
                continue  # stopped by a test, or just starting
            if before is not None and before[:2] == (plane.process.pid, epoch) and revision < before[2]:
                self.steps_back += 1
            before = plane.process.pid, epoch, revision
