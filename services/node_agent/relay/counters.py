"""What the relay counts, as plain numbers that the metrics read. No box and no org is in any of them."""

from __future__ import annotations

from collections import Counter


class Counters:
    """The books of one agent.

    Attributes:
        accepted: connections of boxes.
        refused: by which cap was full.
        unserved: connections for which no target could be reached.
        bytes_up, bytes_down: from boxes and to boxes, of connections that have ended.
        failed_connects: attempts to reach a target that failed.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.unserved = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.failed_connects = 0
