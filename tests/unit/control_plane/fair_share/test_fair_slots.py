"""Slots in turn: the org with the fewest first, then the oldest request; no slot is lost."""

from __future__ import annotations

import asyncio

import pytest

from services.control_plane.fair_share.fair_slots import MAX_WAITING, FairSlots, Slot, SlotRefused

LONG_SECONDS = 60.0


class Taken:
    """Requests for slots: the names of the served ones in order, and their slots."""

    def __init__(self, slots: FairSlots) -> None:
        self.slots = slots
        self.order: list[str] = []
        self.held: dict[str, Slot] = {}

    async def __call__(self, name: str, *keys: str) -> None:
        self.held[name] = await self.slots.take(*keys)
        self.order.append(name)

    async def end(self, name: str) -> None:
        self.slots.end(self.held.pop(name))
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def fair(
    slots: int = 2, *, each: int = 4, reserved: int = 0, wait_seconds: float = LONG_SECONDS
) -> FairSlots:
    return FairSlots(slots, each=each, reserved=reserved, wait_seconds=wait_seconds)


async def test_an_org_without_a_slot_goes_before_older_requests_of_an_org_with_one() -> None:
    taken = Taken(fair())
    async with asyncio.TaskGroup() as group:
        for name, org in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")):
            group.create_task(taken(name, org))
        await settled()
        assert taken.order == ["a1", "a2"]
        for name in ("a1", "a2", "b1", "a3"):
            await taken.end(name)
    assert taken.order == ["a1", "a2", "b1", "a3", "c1", "b2"]


async def test_a_slot_that_is_free_for_others_still_counts_for_its_own_keys() -> None:
    slots = fair(1, each=1)
    mine = await slots.take("org a", "person x")
    with pytest.raises(SlotRefused) as refusal:
        await slots.take("org b", "person x")
    assert not refusal.value.for_everybody
    slots.free(mine)
    slots.free(mine)
    other = await slots.take("org b", "person y")
    with pytest.raises(SlotRefused):
        await slots.take("org a", "person z")
    slots.end(mine)
    slots.end(other)
    assert (await slots.take("org a", "person x")).is_in_use


async def test_the_reserve_is_for_orgs_without_a_slot() -> None:
    slots = fair(2, reserved=1, wait_seconds=0.01)
    await slots.take("a")
    with pytest.raises(SlotRefused) as refusal:
        await slots.take("a")
    assert refusal.value.for_everybody
    assert (await slots.take("b")).is_in_use


async def test_a_request_that_waits_too_long_or_goes_away_leaves_no_trace() -> None:
    slots = fair(1, each=2, wait_seconds=0.01)
    held = await slots.take("a")
    with pytest.raises(SlotRefused):
        await slots.take("b")
    patient = FairSlots(1, each=1, reserved=0, wait_seconds=LONG_SECONDS)
    first = await patient.take("a")
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(patient.take("b"))
        await settled()
        gone.cancel()
        patient.end(first)  # while the cancelled request is still in the list
    assert (await patient.take("b")).is_in_use
    slots.end(held)
    assert (await slots.take("b")).is_in_use


async def test_a_list_of_waiting_requests_has_an_end() -> None:
    slots = fair(1)
    await slots.take("first")
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(slots.take(f"org-{number}")) for number in range(MAX_WAITING)]
        await settled()
        with pytest.raises(SlotRefused) as refusal:
            await slots.take("one more")
        for request in waiting:
            request.cancel()
    assert refusal.value.for_everybody
