"""How many connections may be open: in all, per org and per box, derived from the process's descriptors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

KEPT_BACK_DESCRIPTORS: Final = 128
"""For the REST listener, health checks, attachments under way, the log and the interpreter."""

DESCRIPTORS_PER_CONNECTION: Final = 2
DESCRIPTORS_PER_LISTENER: Final = 2
SHARE_OF_AN_ORG: Final = 0.5
"""Of all connections, so that no org alone can use up the node's."""

Refusal = Literal["box", "org", "all"]


@dataclass(frozen=True, slots=True)
class Caps:
    """The most connections at once."""

    in_all: int
    per_org: int
    per_box: int


def caps_for(descriptors: int, listeners: int, *, per_box: int) -> Caps:
    """Derive the caps from the limit of descriptors and the listeners holding some of them."""
    free = descriptors - KEPT_BACK_DESCRIPTORS - DESCRIPTORS_PER_LISTENER * listeners
    in_all = max(1, free // DESCRIPTORS_PER_CONNECTION)
    per_org = max(1, int(in_all * SHARE_OF_AN_ORG))
    return Caps(in_all, per_org, min(per_box, per_org))


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
        caps = self.caps
        if of_box >= caps.per_box:
            return "box"
        if self._of_org[org] >= caps.per_org:
            return "org"
        if self.in_all >= caps.in_all:
            return "all"
        self.in_all += 1
        self._of_org[org] += 1
        return None

    def leave(self, org: str) -> None:
        """Count down a connection of `org`."""
        self.in_all -= 1
        self._of_org[org] -= 1
        if not self._of_org[org]:
            del self._of_org[org]
