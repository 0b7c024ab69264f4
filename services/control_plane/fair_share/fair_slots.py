"""Slots that all orgs share, given out in turn: to the org with the fewest slots, then to the oldest request.

A request that waits longer than a deadline is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

MAX_WAITING: Final = 512
"""Of all requests together; each org has a few of them at most."""


class SlotRefused(Exception):  # noqa: N818  # a finding about the requests of all, not a failure
    """No slot: `for_everybody` when all slots are in use, else because of this requester's other requests."""

    def __init__(self, *, for_everybody: bool) -> None:
        super().__init__("no slot")
        self.for_everybody = for_everybody


@dataclass(eq=False, slots=True)
class Slot:
    """A request's place: waiting, then in use, then free for others, then ended.

    Attributes:
        keys: the org and the person of the request; each may have a few requests.
        granted: done when the slot is in use.
        is_in_use: whether the slot counts among the shared slots.
    """

    keys: tuple[str, ...]
    granted: asyncio.Future[None]
    is_in_use: bool = False


class FairSlots:
    """Gives out slots. For one event loop.

    Args:
        slots: how many may be in use at once.
        each: how many requests of one key may wait or be under way.
        reserved: of the slots, for keys without another request under way.
        wait_seconds: how long a request waits for a slot.
    """

    def __init__(self, slots: int, *, each: int, reserved: int, wait_seconds: float) -> None:
        self._slots = slots
        self._each = each
        self._reserved = reserved
        self._wait_seconds = wait_seconds
        self._requests: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._waiting: list[Slot] = []
        self._in_use = 0

    async def take(self, *keys: str) -> Slot:
        """Wait for a slot; raises `SlotRefused`. The caller ends the slot."""
        if any(self._requests[key] >= self._each for key in keys):
            raise SlotRefused(for_everybody=False)
        if len(self._waiting) >= MAX_WAITING:
            raise SlotRefused(for_everybody=True)
        mine = Slot(keys, asyncio.get_running_loop().create_future())
        self._requests.update(keys)
        self._waiting.append(mine)
        self._give()
        try:
            async with asyncio.timeout(self._wait_seconds):
                await mine.granted
        except TimeoutError:
            self.end(mine)
            raise SlotRefused(for_everybody=True) from None
        except asyncio.CancelledError:
            self.end(mine)
            raise
        return mine

    def free(self, slot: Slot) -> None:
        """Let others have the slot, while the request still counts among the requests of its keys."""
        if slot.is_in_use:
            slot.is_in_use = False
            self._in_use -= 1
            self._give()

    def end(self, slot: Slot) -> None:
        """Forget the request, waiting or under way; once."""
        if slot in self._waiting:
            self._waiting.remove(slot)
        else:
            _take_off(self._under_way, slot.keys)
        _take_off(self._requests, slot.keys)
        self.free(slot)

    def _give(self) -> None:
        """Grant waiting requests as many slots as there are."""
        while self._in_use < self._slots:
            # A cancelled request is still in the list until its task has run.
            waiting = [slot for slot in self._waiting if not slot.granted.done()]
            if not waiting:
                return
            first = min(waiting, key=self._others_under_way)  # the oldest of equals
            is_second = self._others_under_way(first) > 0
            if is_second and self._in_use >= self._slots - self._reserved:
                return
            self._waiting.remove(first)
            self._under_way.update(first.keys)
            self._in_use += 1
            first.is_in_use = True
            first.granted.set_result(None)

    def _others_under_way(self, slot: Slot) -> int:
        return max(self._under_way[key] for key in slot.keys)


def _take_off(counts: Counter[str], keys: tuple[str, ...]) -> None:
    for key in keys:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
