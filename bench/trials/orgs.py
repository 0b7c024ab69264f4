"""Does a request cost more when the table holds 100,000 orgs? Two data planes, measured turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Final

from bench.measure import Figures, WrongAnswerError, measure, warm_up
from bench.rows import CPU_PER_REQUEST, Figure, Row
from bench.subjects.data_plane import FEW_ORGS, running_data_plane
from bench.subjects.subject import Running, Subject
from bench.trials.trial import Scene, Trial
from bench.workload import Work

MANY: Final = 100_000
_TURNS: Final = 7
_LOAD: Final = Row("orgs", "JSON, 32 connections", Work("json"), 32, (), seconds=4, most=12_000)
"""Half a second of CPU however busy the machine is: the kernel counts it in ticks of 10 ms."""


def figures_of(few: Sequence[Figures], many: Sequence[Figures]) -> Figures:
    """Compare turn with turn: a passing disturbance of the machine then falls on both.

    Raises `WrongAnswerError` when the core was too busy: a turn saw not even a tick of CPU.
    """
    key = CPU_PER_REQUEST.key
    if not all(one[key] for one in few):
        raise WrongAnswerError("no CPU time was counted: the core is too busy to measure on")
    return {
        "few_cpu_us_per_request": median(one[key] for one in few),
        "many_cpu_us_per_request": median(one[key] for one in many),
        "many_over_few": median(much[key] / little[key] for little, much in zip(few, many, strict=True)),
        "foreign_share": median(one["foreign_share"] for one in (*few, *many)),
        "few_resident_mib": few[-1]["resident_mib"],
        "many_resident_mib": many[-1]["resident_mib"],
    }


def _play(scene: Scene, subject: Subject) -> Figures:
    taken: dict[int, list[Figures]] = {FEW_ORGS: [], MANY: []}
    with ExitStack() as stack:
        planes: dict[int, Running] = {}
        for orgs in taken:
            folder = scene.folder / f"{orgs}-orgs"
            folder.mkdir()
            around = replace(scene.around(scene.upstream.port), folder=folder)
            planes[orgs] = stack.enter_context(running_data_plane(around, *subject.variables, orgs=orgs))
            warm_up(scene.load, planes[orgs])
        for turn in range(_TURNS):
            for orgs in (FEW_ORGS, MANY) if turn % 2 else (MANY, FEW_ORGS):
                figures = measure(
                    _LOAD,
                    scene.load,
                    planes[orgs],
                    core=scene.cores.proxy,
                    seconds_factor=scene.seconds_factor,
                )
                taken[orgs].append(figures)
    return figures_of(taken[FEW_ORGS], taken[MANY])


ORGS: Final = Trial(
    "orgs",
    "JSON, 32 connections, orgs in the table",
    (
        Figure("few_cpu_us_per_request", f"{FEW_ORGS}: CPU µs/request"),
        Figure("many_cpu_us_per_request", f"{MANY:,}: CPU µs/request"),
        Figure("many_over_few", f"{MANY:,} against {FEW_ORGS}", decimals=2),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "nginx", "fastapi_httpx"}),
)
