"""Boxes calling all the time while something happens to the agent, and a box reading a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import httpx


@asynccontextmanager
async def repeated(
    count: int, call: Callable[[], Awaitable[None]], *, pause_seconds: float
) -> AsyncIterator[None]:
    """Call from so many tasks, with a pause between two calls of a task, until the block ends."""
    stop = asyncio.Event()

    async def go_on() -> None:
        while not stop.is_set():
            await call()
            await asyncio.sleep(pause_seconds)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(go_on())
        try:
            yield
        finally:
            stop.set()


@dataclass(slots=True)
class Callers:
    """Boxes opening new connections all the time, each of which must be answered with its own identity."""

    address: str
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def calling(self) -> AbstractAsyncContextManager[None]:
        """Call from four tasks until the block ends."""
        return repeated(4, self._call, pause_seconds=0.05)

    async def _call(self) -> None:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                found = (await client.get(f"http://{self.address}/")).json()
                self.answers[found["org"]] += 1
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            self.failures.append(repr(error))


@asynccontextmanager
async def streaming(address: str) -> AsyncIterator[Callable[[], bool]]:
    """Open and read a stream; tells whether the stream still goes on."""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
        client.stream("GET", f"http://{address}/stream") as answer,
    ):
        reading = asyncio.get_running_loop().create_task(_read(answer))
        try:
            yield lambda: not reading.done()
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
                await reading


async def _read(answer: httpx.Response) -> None:
    async for _ in answer.aiter_bytes():
        pass
