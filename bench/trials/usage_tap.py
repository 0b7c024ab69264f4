"""What does reading the token counts in answers cost? Two data planes, with and without, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Final

from bench.measure import Figures, WrongAnswerError, measure, warm_up
from bench.rows import CPU_PER_EVENT, CPU_PER_REQUEST, Figure, Row
from bench.subjects.data_plane import running_data_plane
from bench.subjects.subject import Running, Subject
from bench.trials.trial import Scene, Trial
from bench.workload import EVENTS_PER_STREAM, Work

_TURNS: Final = 9
_SETTING: Final = {True: "AIGW_USAGE_TAP=true", False: "AIGW_USAGE_TAP=false"}
# Half a second of CPU each, however busy the machine is: the kernel counts it in ticks of 10 ms.
_LOADS: Final = {
    "json": Row("usage-tap", "JSON, 32 connections", Work("json"), 32, (CPU_PER_REQUEST,), 4, 16_000),
    "sse": Row(
        "usage-tap", "SSE, 32 streams", Work("sse", events=EVENTS_PER_STREAM), 32, (CPU_PER_EVENT,), 4, 160
    ),
}

Turn = dict[str, Figures]
"""The figures of one turn, by load."""


def figures_of(off: Sequence[Turn], on: Sequence[Turn]) -> Figures:
    """Compare turn with turn: what disturbs the machine for a while then disturbs both.

    Raises `WrongAnswerError` when the core was so busy that a turn saw not even one tick of CPU.
    """
    result: Figures = {}
    for load, row in _LOADS.items():
        key = row.figures[0].key
        without, with_tap = ([turn[load][key] for turn in turns] for turns in (off, on))
        if not all(without):
            raise WrongAnswerError("no CPU time was counted: the core is too busy to measure on")
        result[f"{load}_off_us"] = median(without)
        result[f"{load}_on_us"] = median(with_tap)
        result[f"{load}_on_over_off"] = median(
            much / little for little, much in zip(without, with_tap, strict=True)
        )
    result["foreign_share"] = median(
        figures["foreign_share"] for turn in (*off, *on) for figures in turn.values()
    )
    return result


def _play(scene: Scene, subject: Subject) -> Figures:
    taken: dict[bool, list[Turn]] = {False: [], True: []}
    with ExitStack() as stack:
        planes: dict[bool, Running] = {}
        for is_on in taken:
            folder = scene.folder / ("on" if is_on else "off")
            folder.mkdir()
            around = replace(scene.around(scene.upstream.port), folder=folder)
            planes[is_on] = stack.enter_context(
                running_data_plane(around, _SETTING[is_on], *subject.variables)
            )
            warm_up(scene.load, planes[is_on])
        for turn in range(_TURNS):
            for is_on in (False, True) if turn % 2 else (True, False):
                taken[is_on].append(
                    {name: _measured(scene, row, planes[is_on]) for name, row in _LOADS.items()}
                )
    return figures_of(taken[False], taken[True])


def _measured(scene: Scene, row: Row, plane: Running) -> Figures:
    return measure(row, scene.load, plane, core=scene.cores.proxy, seconds_factor=scene.seconds_factor)


USAGE_TAP: Final = Trial(
    "usage-tap",
    "usage tap on, against off",
    (
        Figure("json_on_us", "JSON: CPU µs/request"),
        Figure("json_on_over_off", "JSON: on against off", decimals=2),
        Figure("sse_on_us", "SSE: CPU µs/chunk"),
        Figure("sse_on_over_off", "SSE: on against off", decimals=2),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "nginx", "fastapi_httpx"}),
)
