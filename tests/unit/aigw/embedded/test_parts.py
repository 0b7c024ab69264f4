"""Parts start in turn, stop in reverse, and none can end or fail unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aigw.embedded.parts import PartEndedError, Parts


class Part:
    def __init__(self, name: str, story: list[str]) -> None:
        self.name = name
        self.story = story

    async def run(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        self.story.append(f"{self.name} up")
        started()
        await stop.wait()
        self.story.append(f"{self.name} down")


async def test_parts_start_in_turn_and_stop_in_reverse() -> None:
    story: list[str] = []
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        for name in ("a", "b"):
            await parts.start(name, Part(name, story).run)
        await parts.stop()
    assert story == ["a up", "b up", "b down", "a down"]


async def test_a_part_that_cannot_start_says_why_and_leaves_the_others_to_be_stopped() -> None:
    async def broken(_started: Callable[[], None], _stop: asyncio.Event) -> None:
        raise ValueError("no port")

    story: list[str] = []
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        await parts.start("good", Part("good", story).run)
        with pytest.raises(ValueError, match="no port"):
            await asyncio.wait_for(parts.start("broken", broken), 10)
        await parts.stop()
    assert story == ["good up", "good down"]


async def test_a_part_that_fails_later_ends_the_group() -> None:
    async def broken(started: Callable[[], None], _stop: asyncio.Event) -> None:
        started()
        await asyncio.sleep(0)
        raise ValueError("disk full")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            await Parts(group).start("broken", broken)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(run(), 10)
    assert raised.group_contains(ValueError, match="disk full")


async def test_a_part_that_ends_by_itself_is_a_failure() -> None:
    async def short(started: Callable[[], None], _stop: asyncio.Event) -> None:
        started()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            await Parts(group).start("short part", short)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(run(), 10)
    assert raised.group_contains(PartEndedError, match="the short part ended by itself")
