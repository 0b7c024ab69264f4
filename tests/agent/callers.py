"""Boxes calling all the time while something happens to the agent, and a box reading a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx


@dataclass(slots=True)
class Callers:
    """Boxes opening new connections all the time, each of which must be answered with its own identity."""

    address: str
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Call from four tasks until the block ends."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(self._call(stop))
            try:
                yield
            finally:
                stop.set()

    async def _call(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                    found = (await client.get(f"http://{self.address}/")).json()
                    self.answers[found["org"]] += 1
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                self.failures.append(repr(error))
            await asyncio.sleep(0.05)


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
