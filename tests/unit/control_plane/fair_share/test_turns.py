"""Turns: a few at a time per key, in order, and none is lost when a waiter goes away."""

from __future__ import annotations

import asyncio

import pytest

from services.control_plane.fair_share.turns import LineTooLong, Turns

SOON_SECONDS = 0.01


class Served:
    """The names served so far, in order; each holds its turn until released."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, key: str, name: str) -> None:
        async with self.turns.turn(key):
            self.order.append(name)
            await self.release.wait()


async def test_one_keys_further_requests_wait_and_another_keys_do_not() -> None:
    served = Served(Turns(2, 10))
    async with asyncio.TaskGroup() as group:
        for name in ("a1", "a2", "a3", "a4"):
            group.create_task(served("a", name))
        await asyncio.sleep(SOON_SECONDS)
        group.create_task(served("b", "b1"))
        await asyncio.sleep(SOON_SECONDS)
        assert served.order == ["a1", "a2", "b1"]
        served.release.set()
    assert served.order == ["a1", "a2", "b1", "a3", "a4"]


async def test_a_line_has_an_end() -> None:
    served = Served(Turns(1, 1))
    async with asyncio.TaskGroup() as group:
        for name in ("a1", "a2"):
            group.create_task(served("a", name))
        await asyncio.sleep(SOON_SECONDS)
        with pytest.raises(LineTooLong):
            await served("a", "a3")
        served.release.set()
    await served("a", "a4")
    assert served.order == ["a1", "a2", "a4"]


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_waiter_that_goes_away_takes_no_turn_along(*, handed_over: bool) -> None:
    turns = Turns(1, 10)
    holder = turns.turn("a")
    await holder.__aenter__()
    waiting = asyncio.create_task(Served(turns)("a", "gone"))  # noqa: TID251  # cancelled below
    await asyncio.sleep(SOON_SECONDS)
    if handed_over:
        await holder.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not handed_over:
        await holder.__aexit__(None, None, None)
    async with asyncio.timeout(1), turns.turn("a"):
        pass


async def test_a_waiter_whose_turn_comes_in_the_moment_of_its_end_goes_away_quietly() -> None:
    turns = Turns(1, 10)
    holder = turns.turn("a")
    await holder.__aenter__()
    waiting = asyncio.create_task(Served(turns)("a", "gone"))  # noqa: TID251  # cancelled below
    await asyncio.sleep(SOON_SECONDS)
    waiting.cancel()
    await holder.__aexit__(None, None, None)  # before the waiter has run again
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1), turns.turn("a"):
        pass
