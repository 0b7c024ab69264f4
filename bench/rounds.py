"""Plays the rounds: every row with every subject, in an order shuffled anew each time."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.listing import AnyRow
from bench.machine import Cores
from bench.measure import Load, WrongAnswerError, measure, warm_up
from bench.processes import StartError
from bench.subjects.subject import Running, Subject, Surroundings
from bench.summary import Sample
from bench.trials.trial import Scene, Trial
from bench.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows, subjects and rounds to play.

    Attributes:
        rows: the measurements.
        subjects: the columns.
        most_rounds: cap on each row's own number of rounds.
        seconds_factor: shortens or lengthens the timed rows.
        seed: of the shuffling.
    """

    rows: Sequence[AnyRow]
    subjects: Sequence[Subject]
    most_rounds: int
    seconds_factor: float
    seed: int

    def rounds(self) -> Iterator[list[tuple[int, AnyRow, Subject]]]:
        """Give each round's measurements in its order."""
        shuffler = random.Random(self.seed)  # noqa: S311  # an order, no secret
        numbers = range(max(min(row.rounds, self.most_rounds) for row in self.rows))
        for number in numbers:
            turns = [turn for turn in self._turns(number) if turn[2].only is None]
            shuffler.shuffle(turns)
            if number == numbers[-1]:
                turns += self._last_turns(numbers)
            yield turns

    def _last_turns(self, numbers: range) -> list[tuple[int, AnyRow, Subject]]:
        """Give all turns of the subjects with few rows: started last, these work beside no other's turn."""
        turns = [turn for number in numbers for turn in self._turns(number) if turn[2].only is not None]
        return sorted(turns, key=lambda turn: self.subjects.index(turn[2]))

    def _turns(self, number: int) -> list[tuple[int, AnyRow, Subject]]:
        return [
            (number, row, subject)
            for row in self.rows
            if number < min(row.rounds, self.most_rounds)
            for subject in self.subjects
            if does(subject, row)
        ]


def does(subject: Subject, row: AnyRow) -> bool:
    """Tell whether this measurement makes sense at all."""
    wanted = subject.only is None or row.name in subject.only
    return wanted and subject.name not in row.left_out and (subject.does_tls or not row.tls)


@dataclass
class Played:
    """The outcome: samples, and the failures by (row, subject)."""

    samples: list[Sample] = field(default_factory=list)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


class Stage:
    """The keeper of started subjects; a context manager that stops them all."""

    def __init__(self, folder: Path, cores: Cores, upstream: Upstream, load: Load) -> None:
        self._folder = folder
        self._cores = cores
        self._upstream = upstream
        self._load = load
        self._kept: dict[tuple[str, bool], Running] = {}
        self._stack = ExitStack()
        self._started = 0

    def close(self) -> None:
        """Stop every kept subject."""
        self._stack.close()

    def play(self, plan: Plan) -> Played:
        """Play the plan; a failed measurement is noted and not tried again, the others go on."""
        played = Played()
        for turns in plan.rounds():
            for number, row, subject in turns:
                if (row.name, subject.name) in played.failures:
                    continue
                print(f"round {number + 1}: {row.name} / {subject.name}", file=sys.stderr)
                try:
                    played.samples.append(self._turn(number, row, subject, plan.seconds_factor))
                except WrongAnswerError as error:
                    played.failures[row.name, subject.name] = str(error)
                except StartError as error:
                    for other in _rows_lost(plan.rows, row, subject):
                        played.failures[other.name, subject.name] = str(error)
        return played

    def _turn(self, number: int, row: AnyRow, subject: Subject, seconds_factor: float) -> Sample:
        if isinstance(row, Trial):
            return Sample(
                row.name, subject.name, number, row.play(self._scene(subject, seconds_factor), subject)
            )
        with ExitStack() as passing:
            if row.fresh:
                running = passing.enter_context(self._started_anew(subject, tls=row.tls))
            else:
                running = self._keep(subject, tls=row.tls)
            figures = measure(row, self._load, running, core=self._cores.proxy, seconds_factor=seconds_factor)
        return Sample(row.name, subject.name, number, figures)

    def _keep(self, subject: Subject, *, tls: bool) -> Running:
        key = (subject.name, tls)
        if key not in self._kept:
            self._kept[key] = self._stack.enter_context(self._started_anew(subject, tls=tls))
        return self._kept[key]

    @contextmanager
    def _started_anew(self, subject: Subject, *, tls: bool) -> Iterator[Running]:
        around = Surroundings(
            folder=self._new_folder(subject),
            core=self._cores.proxy,
            upstream_port=self._upstream.tls_port if tls else self._upstream.port,
            tls=tls,
            ca_file=self._upstream.ca_file if tls else None,
            key_file=self._upstream.key_file,
        )
        with subject.start(around) as running:
            warm_up(self._load, running)
            yield running

    def _scene(self, subject: Subject, seconds_factor: float) -> Scene:
        return Scene(self._new_folder(subject), self._cores, self._upstream, self._load, seconds_factor)

    def _new_folder(self, subject: Subject) -> Path:
        self._started += 1
        folder = self._folder / f"{self._started:03}-{subject.name}"
        folder.mkdir(parents=True)
        return folder


def _rows_lost(rows: Sequence[AnyRow], row: AnyRow, subject: Subject) -> list[AnyRow]:
    """Tell the rows lost after a subject did not start for `row`; each trial starts its own."""
    if isinstance(row, Trial):
        return [row]
    alike = [other for other in rows if other.tls == row.tls and does(subject, other)]
    return [other for other in alike if not isinstance(other, Trial)]
