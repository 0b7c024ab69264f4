"""How often callers could not be told, by reason. The reasons are a closed set, so the counts stay few."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.data_plane.core.unidentified import Unidentified


class IdentityRefusals:
    """The counts of a process, over all its listeners."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def by_fault(self) -> Mapping[str, int]:
        """The counts so far, by `IdentityFault`."""
        return self._counts

    def note(self, unidentified: Unidentified) -> Unidentified:
        """Count a refusal, and give the refusal back to be raised."""
        self._counts[unidentified.fault] += 1
        return unidentified
