"""A steady load of JSON and event streams from many orgs, and the outcome of each request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Self

import httpx

from shared.tasks import TaskSet
from tests.faults.boxes import Boxes, base_url, outcome_of
from tests.faults.provider import STREAM_END, STREAM_EVENTS
from tests.support.servers.fleet import Plane

STREAM_EVERY: Final = 4
"""The number of requests with a single stream among them."""
PAUSE_SECONDS: Final = 0.4
"""The pause between two requests of the same org."""


@dataclass(slots=True)
class Load:
    """Runs inside `async with`; each org asks the `planes` in turn and must see its own key.

    Attributes:
        labels: the label of the key of each org.
        planes: the data planes asked now; a test takes out planes as a load balancer would.
        requests: how many have been answered, or have failed.
        failures: each kind of failure, with how often.
    """

    boxes: Boxes
    labels: Mapping[str, str]
    planes: list[Plane]
    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    _stopping: bool = False
    _tasks: TaskSet = field(default_factory=TaskSet)
    _running: Sequence[asyncio.Task[None]] = ()

    async def __aenter__(self) -> Self:
        self._running = [
            self._tasks.start(self._run(org, first), f"load of {org}")
            for first, org in enumerate(self.labels)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let every request under way end by itself."""
        self._stopping = True
        await asyncio.gather(*self._running)

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return self.failures.total()

    @property
    def wrong_missing(self) -> int:
        """How many requests were wrongly answered with a missing integration."""
        return self.failures["integration_missing"]

    async def _run(self, org: str, first: int) -> None:
        for number in count(first):
            if self._stopping:
                return
            await self._once(org, number)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _once(self, org: str, number: int) -> None:
        plane = self.planes[number % len(self.planes)]
        try:
            ask = self._stream if number % STREAM_EVERY == 0 else self._json
            outcome = await ask(plane, org)
        except httpx.HTTPError as error:
            outcome = type(error).__name__
        self.requests += 1
        if outcome != self.labels[org]:
            # A label names an org and a number, so it may be told.
            self.failures[outcome] += 1

    async def _json(self, plane: Plane, org: str) -> str:
        url, head = f"{base_url(plane)}/chat/completions", self.boxes.headers(org)
        return outcome_of(await self.boxes.client.post(url, headers=head, json={"model": "m"}))

    async def _stream(self, plane: Plane, org: str) -> str:
        url, head = f"{base_url(plane)}/chat/completions", self.boxes.headers(org)
        asked = {"model": "m", "stream": True}
        async with self.boxes.client.stream("POST", url, headers=head, json=asked) as answer:
            body = (await answer.aread()).decode()
        if not answer.is_success:
            return outcome_of(answer)
        events = [line for line in body.split("\n") if line]
        expected = f'"key": "{self.labels[org]}"'
        whole = len(events) == STREAM_EVENTS + 1 and events[-1] == STREAM_END
        return self.labels[org] if whole and all(expected in event for event in events[:-1]) else "cut stream"
