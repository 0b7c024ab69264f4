"""The bench's notion of a trial: a row of the table with its own boxes, and mostly its own provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from bench.machine import Cores
from bench.measure import Figures, Load
from bench.rows import Figure
from bench.subjects.subject import Subject, Surroundings
from bench.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Scene:
    """The means of a trial.

    Attributes:
        folder: the trial's own scratch folder; exists and is empty.
        cores: the subject's, and the core of everything else.
        upstream: the bench's provider.
        load: the load program.
        seconds_factor: shortens or lengthens the timed parts; 1 in a full run.
    """

    folder: Path
    cores: Cores
    upstream: Upstream
    load: Load
    seconds_factor: float

    def around(self, upstream_port: int) -> Surroundings:
        """Where a subject of this trial runs, with a plain upstream on `upstream_port`."""
        return Surroundings(
            folder=self.folder,
            core=self.cores.proxy,
            upstream_port=upstream_port,
            tls=False,
            ca_file=None,
            key_file=self.upstream.key_file,
        )

    def around_in(self, name: str) -> Surroundings:
        """The surroundings of a subject among several alive: before the provider, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self.around(self.upstream.port), folder=folder)


@dataclass(frozen=True, slots=True)
class Trial:
    """A measurement other than a plain load; shown in the table like a `Row`.

    Attributes:
        name: for `--only` and the raw rows.
        title: for people.
        figures: the figures of the result in the table.
        play: starts a subject and measures once; raises `WrongAnswerError` and `StartError`.
        rounds: how often in a full run.
        in_quick: part of a quick run.
        left_out: subjects without this trial.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    play: Callable[[Scene, Subject], Figures]
    rounds: int = 1
    in_quick: bool = False
    left_out: frozenset[str] = frozenset()
    tls: ClassVar[bool] = False
