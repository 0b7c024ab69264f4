"""The cost of a part: two data planes, with the part and without, both alive, in shuffled turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

from bench.measure import Figures, measure, warm_up
from bench.rows import Row
from bench.subjects.subject import Running
from bench.trials.trial import Scene
from bench.turns import median_of, play_turns, ratio_of

ROUNDS: Final = 9

Unit = Literal["request", "event"]
Turn = Mapping[str, Figures]
"""The figures of a turn, by load."""


def play_on_off(scene: Scene, off: Running, on: Running, loads: Mapping[str, tuple[Row, Unit]]) -> Figures:
    """Measure both under every load and compare; `loads` names each load's row, and the unit of its CPU."""
    for running in (off, on):
        warm_up(scene.load, running)
    taken = play_turns(
        {"off": partial(_turn, scene, off, loads), "on": partial(_turn, scene, on, loads)}, ROUNDS
    )
    return figures_of(taken["off"], taken["on"], {name: unit for name, (_, unit) in loads.items()})


def figures_of(off: Sequence[Turn], on: Sequence[Turn], units: Mapping[str, Unit]) -> Figures:
    """Compare round with round: a passing disturbance of the machine then falls on both.

    Raises:
        WrongAnswerError: the core was too busy: a turn saw no CPU.
    """
    result: Figures = {}
    for load, unit in units.items():
        key = f"loop_us_per_{unit}"
        without, with_it = ([turn[load] for turn in turns] for turns in (off, on))
        result[f"{load}_off_us"] = median_of(without, key)
        result[f"{load}_on_us"] = median_of(with_it, key)
        result[f"{load}_on_over_off"] = ratio_of(with_it, without, key)
    every = [figures for turn in (*off, *on) for figures in turn.values()]
    return {**result, "foreign_share": median_of(every, "foreign_share")}


def _turn(scene: Scene, running: Running, loads: Mapping[str, tuple[Row, Unit]]) -> dict[str, Figures]:
    if running.renew is not None:
        running.renew()
    return {
        name: measure(row, scene.load, running, core=scene.cores.proxy, seconds_factor=scene.seconds_factor)
        for name, (row, _) in loads.items()
    }
