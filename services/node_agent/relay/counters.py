"""The relay's counters, as plain numbers read by the metrics. No box and no org is in any of them."""

from __future__ import annotations

from collections import Counter


class Counters:
    """The counters of an agent.

    Attributes:
        accepted: connections of boxes.
        refused: by which cap was full.
        unserved: connections for which no target could be reached.
        bytes_up, bytes_down: from boxes and to boxes, of ended connections.
        failed_connects: failed attempts to reach a target.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.unserved = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.failed_connects = 0
