"""Measurements in turns: everything compared is alive at once, and plays many short turns in shuffled order.

A disturbance of the machine then meets all of them alike. A ratio is the median of the ratios within each
round, so a slow round counts like any other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from bench.measure import Figures, WrongAnswerError

T = TypeVar("T")


def play_turns(turns: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Play each of `turns` once per round, in an order shuffled anew; gives the results of each, by round."""
    shuffler = random.Random(rounds)  # noqa: S311  # an order, no secret
    taken: dict[str, list[T]] = {name: [] for name in turns}
    order = list(turns)
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            taken[name].append(turns[name]())
    return taken


def median_of(rounds: Sequence[Figures], key: str) -> float:
    """Give the median of a figure."""
    return median(figures[key] for figures in rounds)


def ratio_of(rounds: Sequence[Figures], yardstick: Sequence[Figures], key: str) -> float:
    """Give the median of the ratios of a figure, round by round.

    Raises:
        WrongAnswerError: a round of the yardstick saw no CPU, so the core is too busy to measure on.
    """
    if not all(figures[key] for figures in yardstick):
        raise WrongAnswerError("no CPU time was counted: the core is too busy to measure on")
    return median(ours[key] / theirs[key] for ours, theirs in zip(rounds, yardstick, strict=True))
