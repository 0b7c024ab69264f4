"""The pace of refusals: one after the other, and none later than the longest delay."""

from __future__ import annotations

import asyncio

from services.control_plane.fair_share.refusal_pace import RefusalPace

PER_SECOND = 50.0


async def test_refusals_of_one_key_follow_each_other_and_others_are_not_delayed() -> None:
    pace, loop = RefusalPace(PER_SECOND), asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(pace.wait("a"))
        other = loop.time()
        await pace.wait("b")
        assert loop.time() - other < 3 / PER_SECOND
    assert loop.time() - began >= 5 / PER_SECOND


async def test_no_refusal_waits_longer_than_the_longest_delay() -> None:
    pace, loop = RefusalPace(1.0, max_delay_seconds=0.05), asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(pace.wait("a") for _ in range(20)))
    assert 0.05 <= loop.time() - began < 1.0
