"""Tests of `shared/tasks.py`: a background task is held, ended with its owner, and its failure is told."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from shared.tasks import TaskSet


async def test_a_task_runs_and_is_let_go_when_it_ends() -> None:
    tasks = TaskSet()
    ran = asyncio.Event()

    async def work() -> str:
        ran.set()
        return "done"

    task = tasks.start(work(), "work")
    assert len(tasks) == 1
    assert task.get_name() == "work"
    assert await task == "done"
    await asyncio.sleep(0)
    assert len(tasks) == 0
    assert ran.is_set()


async def test_a_running_task_is_not_garbage_collected() -> None:
    tasks = TaskSet()
    gate = asyncio.Event()
    ended = asyncio.Event()

    async def wait() -> None:
        await gate.wait()
        ended.set()

    tasks.start(wait(), "wait")
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    await asyncio.wait_for(ended.wait(), 10)
    await tasks.aclose()


async def test_a_failure_is_logged_under_the_tasks_name(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet()

    async def fail() -> None:
        raise RuntimeError("broken")

    await asyncio.wait([tasks.start(fail(), "the outbox")])
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "background task the outbox failed"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "broken"


async def test_closing_cancels_every_task_and_waits_for_its_clean_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = TaskSet()
    cleaned: list[int] = []

    async def hold(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(number)

    for number in range(3):
        tasks.start(hold(number), f"hold {number}")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert sorted(cleaned) == [0, 1, 2]
    assert len(tasks) == 0
    assert caplog.records == []


async def test_closing_survives_a_task_that_fails_in_its_clean_up(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet()

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("clean-up broken")

    tasks.start(hold(), "hold")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert [record.getMessage() for record in caplog.records] == ["background task hold failed"]


async def test_closing_an_empty_set_is_fine_and_may_be_repeated() -> None:
    tasks = TaskSet()
    await tasks.aclose()
    await tasks.aclose()
