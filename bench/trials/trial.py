"""What a trial is to the bench: a row of the table that brings its own boxes, and mostly its own provider."""

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
    """What a trial has to work with.

    Attributes:
        folder: its own scratch folder; exists and is empty.
        cores: where the subject runs, and where everything else does.
        upstream: the bench's provider.
        load: the load program.
        seconds_factor: shortens or lengthens what can be; 1 in a full run.
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
        """Where one of several subjects alive at once runs: before the provider, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self.around(self.upstream.port), folder=folder)


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement that is no plain load; the table shows it like a `Row`.

    Attributes:
        name: for `--only` and the raw rows.
        title: for people.
        figures: what of the result the table shows.
        play: does it once with a subject that it starts; raises `WrongAnswerError` and `StartError`.
        rounds: how often in a full run.
        in_quick: part of a quick run.
        left_out: subjects that it is not done with.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    play: Callable[[Scene, Subject], Figures]
    rounds: int = 1
    in_quick: bool = False
    left_out: frozenset[str] = frozenset()
    tls: ClassVar[bool] = False
