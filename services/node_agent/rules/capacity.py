"""How many connections may be open: in all, per org and per box, derived from the process's descriptors.

The allowance of an org shrinks as the node fills: an org may have as many connections as there are free
places, and a box as many as its org may still have. One greedy org thus gets half of the node, two a third
each, and a place is always left for the next org (dynamic thresholds; Choudhury and Hahne, 1998).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

KEPT_BACK_DESCRIPTORS: Final = 128
"""For the REST listener, health checks, attachments under way, refused connections that still read their
answer, the log and the interpreter."""

DESCRIPTORS_PER_CONNECTION: Final = 2
DESCRIPTORS_PER_LISTENER: Final = 2

Refusal = Literal["box", "org", "all"]


@dataclass(frozen=True, slots=True)
class Caps:
    """The most connections at once: of all boxes, and of one box whatever else is open."""

    in_all: int
    per_box: int


def caps_for(descriptors: int, listeners: int, *, per_box: int) -> Caps:
    """Derive the caps from the limit of descriptors and the listeners holding some of them."""
    free = descriptors - KEPT_BACK_DESCRIPTORS - DESCRIPTORS_PER_LISTENER * listeners
    return Caps(max(1, free // DESCRIPTORS_PER_CONNECTION), per_box)


def has_room_for_a_listener(descriptors: int, listeners: int) -> bool:
    """Whether one more listener leaves at least half of the descriptors to connections."""
    return DESCRIPTORS_PER_LISTENER * (listeners + 1) <= (descriptors - KEPT_BACK_DESCRIPTORS) // 2


class Occupancy:
    """Counts the open connections; the caps are given anew when listeners come and go."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.in_all = 0
        self._of_org: Counter[str] = Counter()

    def enter(self, org: str, of_box: int) -> Refusal | None:
        """Count another connection of `org`, whose box has `of_box` already; or say which cap is full."""
        of_org = self._of_org[org]
        refusal = refusal_of(self.caps, self.in_all, of_org, of_box)
        if refusal is None:
            self.in_all += 1
            self._of_org[org] = of_org + 1
        return refusal

    def leave(self, org: str) -> None:
        """Count down a connection of `org`."""
        self.in_all -= 1
        self._of_org[org] -= 1
        if not self._of_org[org]:
            del self._of_org[org]


def refusal_of(caps: Caps, in_all: int, of_org: int, of_box: int) -> Refusal | None:
    """Say which cap keeps out one more connection of a box, given the open ones; None where there is room."""
    free = caps.in_all - in_all
    if free <= 0:
        return "all"
    if of_box >= caps.per_box:
        return "box"
    if of_org >= free:
        return "org"
    if of_box and of_box >= free - of_org:  # a box's first connection is its org's affair alone
        return "box" if 2 * of_box > of_org else "org"
    return None
