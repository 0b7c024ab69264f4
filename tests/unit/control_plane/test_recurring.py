"""Recurring work goes on whatever a round meets, and the log tells an outage from a fault."""

from __future__ import annotations

import asyncio
import logging

import pytest

from services.control_plane.recurring import repeat
from services.control_plane.store.outage import DatabaseUnavailable
from shared.tasks import TaskSet


async def test_failed_rounds_are_logged_and_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception | None] = [DatabaseUnavailable("the server is away"), ValueError("a bug"), None]
    rounds: list[Exception | None] = []
    done = asyncio.Event()

    def work() -> None:
        failure = failures[len(rounds)]
        rounds.append(failure)
        if failure is not None:
            raise failure

    async def pause() -> None:
        if len(rounds) == len(failures):
            done.set()
            await asyncio.Event().wait()

    tasks = TaskSet()
    tasks.start(repeat(work, pause, "nothing can be tidied now", logging.getLogger("rounds")), "rounds")
    await asyncio.wait_for(done.wait(), 20)
    await tasks.aclose()
    assert rounds == failures
    outage, fault = caplog.records
    assert outage.getMessage() == "nothing can be tidied now, trying again: the server is away"
    assert (outage.levelname, outage.exc_info) == ("WARNING", None)
    assert fault.getMessage() == "nothing can be tidied now, trying again"
    assert fault.exc_info is not None
