"""The highest revision seen committed by this process, and the epochs seen to end.

A database behind these positions has lost commits: a standby without some commits was promoted, or a backup
was restored. In memory only; the positions seen by other parts of the gateway belong to `lost_commits.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

MAX_ENDED_EPOCHS: Final = 64


class HighWater:
    """Remembers a position. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._epoch = ""
        self._revision = 0
        self._ended: OrderedDict[str, None] = OrderedDict()

    def note(self, epoch: str, revision: int) -> None:
        """Note a position read from the database, or committed there."""
        with self._lock:
            if epoch in self._ended:
                return
            if epoch == self._epoch:
                self._revision = max(self._revision, revision)
                return
            if self._epoch:
                self._ended[self._epoch] = None
                while len(self._ended) > MAX_ENDED_EPOCHS:
                    self._ended.popitem(last=False)
            self._epoch, self._revision = epoch, revision

    def is_above(self, epoch: str, revision: int) -> bool:
        """Tell whether a database at this position has lost commits seen by this process."""
        with self._lock:
            return epoch in self._ended or (epoch == self._epoch and revision < self._revision)
