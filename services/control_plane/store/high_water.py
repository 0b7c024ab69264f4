"""The highest revision that this process has seen committed, and the epochs that it has seen end.

A database that is behind them has lost commits: a standby that lacked some was promoted, or a backup was
restored. In memory only; what other parts of the gateway have seen is `lost_commits.py`'s business.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

MAX_ENDED_EPOCHS: Final = 64


class HighWater:
    """Remembers one position. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._epoch = ""
        self._revision = 0
        self._ended: OrderedDict[str, None] = OrderedDict()

    def note(self, epoch: str, revision: int) -> None:
        """Note a position that was read from the database, or committed to it."""
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
        """Tell whether a database at this position has lost what this process has seen there."""
        with self._lock:
            return epoch in self._ended or (epoch == self._epoch and revision < self._revision)
