"""A large body whose taker is slow: how much of the body does the subject pile up in its own memory?

The taker takes 50 MB at once and then nothing for the rest of the second, so that both a pause and a pace
below the sender's have to be passed on to the other side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Final, Self

from bench import proc
from bench.measure import Figures, WrongAnswerError
from bench.rows import Figure
from bench.subjects.subject import Running, Subject
from bench.trials.box import answer_on, connect, failures_as_wrong_answers, send_bulk, send_head
from bench.trials.bulk import Pace, SlowTaker
from bench.trials.provider import running_provider
from bench.trials.trial import Scene, Trial

TOTAL_BYTES: Final = 500_000_000
_WARM_UP_BYTES: Final = 64 * 1024
_WARM_UPS: Final = 20
_SETTLE_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = 0.05
_SLOW: Final = Pace()
_AT_ONCE: Final = Pace(turn_seconds=0)

Transfer = Callable[[Running, int, Pace], None]


class PeakWatch:
    """Watches the resident memory of a process tree; a context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.before_bytes = self.peak_bytes = self._resident()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def growth_mib(self) -> float:
        """How far the peak lies above the start."""
        return (self.peak_bytes - self.before_bytes) / 2**20

    def _watch(self) -> None:
        while not self._done.wait(_WATCH_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._resident())

    def _resident(self) -> int:
        return proc.resident_bytes(proc.tree(self._pid))


def take_down(running: Running, length: int, pace: Pace) -> None:
    """Take a body of `length` bytes from the provider at `pace`; raises `WrongAnswerError`."""
    with failures_as_wrong_answers("download"), connect(running) as connection:
        send_head(connection, running, f"/down/{length}", 0)
        answer = answer_on(connection)
        _check(SlowTaker(answer.readinto, pace).take(length), length)


def send_up(running: Running, length: int, _pace: Pace) -> None:
    """Send a body of `length` bytes to a provider with a pace of its own; raises `WrongAnswerError`."""
    with failures_as_wrong_answers("upload"), connect(running) as connection:
        send_head(connection, running, "/up", length)
        send_bulk(connection, length)
        _check(int(answer_on(connection).read()), length)


def _check(right: int, length: int) -> None:
    if right != length:
        raise WrongAnswerError(f"{right} of {length} bytes came right")


def _play(scene: Scene, subject: Subject, transfer: Transfer) -> Figures:
    length = int(TOTAL_BYTES * scene.seconds_factor)
    with running_provider(_SLOW) as provider, subject.start(scene.around(provider.port)) as running:
        assert running.pid is not None, "without a proxy there is no memory to watch"
        for _ in range(_WARM_UPS):
            take_down(running, _WARM_UP_BYTES, _AT_ONCE)
            send_up(running, _WARM_UP_BYTES, _AT_ONCE)
        time.sleep(_SETTLE_SECONDS)
        began = time.monotonic()
        with PeakWatch(running.pid) as watch:
            transfer(running, length, _SLOW)
        return {
            "growth_mib": watch.growth_mib,
            "resident_before_mib": watch.before_bytes / 2**20,
            "megabytes": length / 1e6,
            "seconds": time.monotonic() - began,
        }


def _play_reader(scene: Scene, subject: Subject) -> Figures:
    return _play(scene, subject, take_down)


def _play_writer(scene: Scene, subject: Subject) -> Figures:
    return _play(scene, subject, send_up)


_GROWTH: Final = (Figure("growth_mib", "memory growth MiB", compared=False),)
_NOT_HERE: Final = frozenset({"direct", "splice", "fastapi_httpx"})

SLOW_READER: Final = Trial(
    "slow-reader", "500 MB down, box takes 50 MB/s in jerks", _GROWTH, _play_reader, left_out=_NOT_HERE
)
SLOW_WRITER: Final = Trial(
    "slow-writer", "500 MB up, provider takes 50 MB/s in jerks", _GROWTH, _play_writer, left_out=_NOT_HERE
)
