"""Medians and spreads over the rounds of a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

from bench.measure import Figures

DISTURBING_SHARE: Final = 0.1
"""The part of the proxy's core open to others before a measurement counts as disturbed."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarize at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of a row with a subject in a round."""

    row: str
    subject: str
    round: int
    figures: Figures


class Summary:
    """All samples of a run, asked by row, subject and figure."""

    def __init__(self, samples: Iterable[Sample], failures: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}
        self._foreign_shares: list[float] = []
        self._failed = frozenset(failures)
        for sample in samples:
            if "foreign_share" in sample.figures:
                self._foreign_shares.append(sample.figures["foreign_share"])
            for key, value in sample.figures.items():
                self._values.setdefault((sample.row, sample.subject, key), []).append(value)

    def spread(self, row: str, subject: str, key: str) -> Spread | None:
        """Give the spread of a figure over the rounds; None for an unmeasured figure."""
        values = self._values.get((row, subject, key))
        return Spread.of(values) if values else None

    def disturbed(self) -> tuple[int, int]:
        """Give how many measurements had to share their core, and how many there are."""
        shares = self._foreign_shares
        return sum(share >= DISTURBING_SHARE for share in shares), len(shares)

    def failed(self, row: str, subject: str) -> bool:
        """Tell whether this measurement ended in a wrong answer."""
        return (row, subject) in self._failed

    def ratio(self, row: str, subject: str, key: str, yardstick: str) -> float | None:
        """Give the subject's median in terms of the yardstick's; None when either is missing or zero."""
        ours, theirs = self.spread(row, subject, key), self.spread(row, yardstick, key)
        if ours is None or theirs is None or subject == yardstick or not theirs.median:
            return None
        return ours.median / theirs.median

    def added(self, row: str, subject: str, key: str, base: str) -> float | None:
        """Give how much the subject's median lies above the median of `base`."""
        ours, theirs = self.spread(row, subject, key), self.spread(row, base, key)
        if ours is None or theirs is None or subject == base:
            return None
        return ours.median - theirs.median
