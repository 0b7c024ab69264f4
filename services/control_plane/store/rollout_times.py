"""How long roll-outs took, as seen by this process: a report tells a time only until a later change.

In memory and bounded. Another control plane, or this process after a restart, may not know a time; then none
is told.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_CHANGES: Final = 256
"""Whose times are remembered; the least recently requested change goes first."""

ChangeKey = tuple[str, str, str, int]
"""(epoch, org, provider, revision)."""


@dataclass(slots=True)
class _Times:
    """When each process was seen to enforce the change, until all did; afterwards the total time."""

    by_process: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None


class RolloutTimes:
    """Remembers; may be asked from several threads."""

    def __init__(self, max_changes: int = MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._changes: OrderedDict[ChangeKey, _Times] = OrderedDict()
        self._lock = threading.Lock()

    def seconds(
        self, change: ChangeKey, saved_at: float, live: Mapping[str, float | None], *, everywhere: bool
    ) -> float | None:
        """Tell how long the change took to be everywhere; None while incomplete, or without an observation.

        Args:
            change: which.
            saved_at: the time of its commit; Unix seconds, as all times here.
            live: the processes with the change, each with the time of enforcement, if still in the report.
            everywhere: whether those are all.
        """
        with self._lock:
            times = self._changes.setdefault(change, _Times())
            self._changes.move_to_end(change)
            while len(self._changes) > self._max_changes:
                self._changes.popitem(last=False)
            if times.seconds is None:
                for process, since in live.items():
                    if since is not None:
                        times.by_process.setdefault(process, since)
                if everywhere:
                    if live and live.keys() <= times.by_process.keys():
                        last = max(times.by_process[process] for process in live)
                        times.seconds = max(0.0, last - saved_at)
                    times.by_process = {}
            return times.seconds if everywhere else None
