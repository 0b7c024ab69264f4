"""Whose request is served next: a few requests of one person at a time, the others of that person wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class LineTooLong(Exception):  # noqa: N818  # a finding about the key's requests, not a failure
    """As many requests of this key wait as may wait."""


@dataclass(slots=True)
class _Line:
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turns:
    """Gives every key `at_a_time` turns; up to `max_waiting` further requests wait in order. For one loop."""

    def __init__(self, at_a_time: int, max_waiting: int) -> None:
        self._at_a_time = at_a_time
        self._max_waiting = max_waiting
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn of `key`, and hold it inside; raises `LineTooLong`."""
        await self._take(key)
        try:
            yield
        finally:
            self._give(key)

    async def _take(self, key: str) -> None:
        line = self._lines.setdefault(key, _Line())
        if line.running < self._at_a_time:
            line.running += 1
            return
        if len(line.waiting) >= self._max_waiting:
            raise LineTooLong
        mine = asyncio.get_running_loop().create_future()
        line.waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                if mine in line.waiting:  # else a turn was given up between the cancellation and now
                    line.waiting.remove(mine)
            else:  # the turn was handed over in the moment of the cancellation
                self._give(key)
            raise

    def _give(self, key: str) -> None:
        line = self._lines[key]
        while line.waiting:
            waiter = line.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the turn passes on, so `running` stays
                return
        line.running -= 1
        if not line.running:
            del self._lines[key]
