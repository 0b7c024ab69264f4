"""A box goes away: how long until the provider's side of its request is closed?

In three phases of a request, by an orderly close and by a reset. Both clocks are this process's, so a figure
includes the wake-up of the provider's thread.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from queue import Empty
from statistics import median
from typing import Final, Literal, get_args

from bench.measure import Figures, WrongAnswerError
from bench.rows import Figure
from bench.subjects.subject import Running, Subject
from bench.trials.box import answer_on, connect, failures_as_wrong_answers, send_bulk, send_head
from bench.trials.provider import BEGUN_UPLOAD_BYTES, Note, Provider, running_provider
from bench.trials.trial import Scene, Trial

Phase = Literal["waiting", "streaming", "uploading"]
Way = Literal["close", "reset"]

PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
WAYS: Final[tuple[Way, ...]] = get_args(Way)
NEVER_SECONDS: Final = 2.0
"""An end not seen by then is counted as this long, and in `never_seen`."""
BEGIN_SECONDS: Final = 10.0
"""A request not under way by then has failed."""
_ATTEMPTS: Final = 25
_WARM_UPS: Final = 2
_BODY_BYTES: Final = 1024
_UPLOAD_BYTES: Final = 1024 * 1024
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
"""`struct linger`: on, for 0 seconds."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How long after the box's leaving the provider saw the end; `seconds` is None for an end never seen."""

    phase: Phase
    way: Way
    seconds: float | None


def depart(
    running: Running,
    provider: Provider,
    attempt: int,
    phase: Phase,
    way: Way,
    *,
    begin_seconds: float = BEGIN_SECONDS,
) -> Departure:
    """Bring a request into `phase` and leave; raises `WrongAnswerError` when the request gets stuck."""
    with failures_as_wrong_answers(phase), connect(running) as connection:
        _bring_into(connection, running, attempt, phase)
        if _wait_for(provider, attempt, "began", begin_seconds) is None:
            raise WrongAnswerError(f"{phase}: the request did not reach the provider")
        answer = answer_on(connection) if phase == "streaming" else None
        if answer is not None:
            answer.readline()
        if way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        left_at = time.monotonic()
        if answer is not None:
            answer.close()  # it shares the socket
        connection.close()
    gone = _wait_for(provider, attempt, "gone", NEVER_SECONDS)
    return Departure(phase, way, None if gone is None else gone.at - left_at)


def _bring_into(connection: socket.socket, running: Running, attempt: int, phase: Phase) -> None:
    whole = _UPLOAD_BYTES if phase == "uploading" else _BODY_BYTES
    send_head(connection, running, f"/{phase}/{attempt}", whole)
    send_bulk(connection, 2 * BEGUN_UPLOAD_BYTES if phase == "uploading" else whole)


def _wait_for(provider: Provider, attempt: int, what: str, seconds: float) -> Note | None:
    give_up = time.monotonic() + seconds
    while (left := give_up - time.monotonic()) > 0:
        try:
            note = provider.notes.get(timeout=left)
        except Empty:
            break
        if (note.attempt, note.what) == (attempt, what):  # others are of attempts given up
            return note
    return None


def figures_of(departures: Iterable[Departure]) -> Figures:
    """Give p50 and greatest delay by phase, and by phase and way, in milliseconds."""
    delays: dict[str, list[float]] = {}
    never = 0
    for one in departures:
        never += one.seconds is None
        delay = (NEVER_SECONDS if one.seconds is None else one.seconds) * 1000
        for name in (one.phase, f"{one.phase}_{one.way}"):
            delays.setdefault(name, []).append(delay)
    return {**_p50_and_max(delays), "never_seen": float(never)}


def _p50_and_max(delays: Mapping[str, Sequence[float]]) -> Figures:
    p50 = {f"{name}_p50_ms": median(values) for name, values in delays.items()}
    return p50 | {f"{name}_max_ms": max(values) for name, values in delays.items()}


def _play(scene: Scene, subject: Subject) -> Figures:
    attempts = count(1)
    many = max(1, int(_ATTEMPTS * scene.seconds_factor))
    kinds = [*product(PHASES, WAYS)]
    with running_provider() as provider, subject.start(scene.around(provider.port)) as running:

        def each(times: int) -> list[Departure]:
            return [
                depart(running, provider, next(attempts), phase, way)
                for _ in range(times)
                for phase, way in kinds
            ]

        each(_WARM_UPS)
        return figures_of(each(many))


_FIGURES: Final = tuple(
    Figure(f"{phase}_{what}_ms", f"{phase}, {what} ms", decimals=2, compared=what == "p50")
    for phase in PHASES
    for what in ("p50", "max")
)

GONE: Final = Trial(
    "gone",
    "box gone until provider's side closed",
    _FIGURES,
    _play,
    in_quick=True,
    left_out=frozenset({"direct", "splice", "fastapi_httpx"}),
)
