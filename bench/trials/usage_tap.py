"""The cost of reading the token counts in answers: two data planes, with the tap and without."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from bench.measure import Figures
from bench.rows import CPU_PER_EVENT, CPU_PER_REQUEST, Figure, Row
from bench.subjects.data_plane import running_data_plane
from bench.subjects.subject import Subject
from bench.trials.on_off import Unit, play_on_off
from bench.trials.trial import Scene, Trial
from bench.workload import EVENTS_PER_STREAM, Work

_LOADS: Final[dict[str, tuple[Row, Unit]]] = {
    "json": (
        Row("usage-tap", "JSON, 32 connections", Work("json"), 32, (CPU_PER_REQUEST,), 4, 16_000),
        "request",
    ),
    "sse": (
        Row(
            "usage-tap",
            "SSE, 32 streams",
            Work("sse", events=EVENTS_PER_STREAM),
            32,
            (CPU_PER_EVENT,),
            4,
            160,
        ),
        "event",
    ),
}


def _play(scene: Scene, subject: Subject) -> Figures:
    with ExitStack() as stack:
        off, on = (
            stack.enter_context(
                running_data_plane(scene.around_in(name), f"AIGW_USAGE_TAP={value}", *subject.variables)
            )
            for name, value in (("off", "false"), ("on", "true"))
        )
        return play_on_off(scene, off, on, _LOADS)


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
