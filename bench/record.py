"""The record of a bench run: its raw rows as JSON lines, from which pages are drawn without measuring."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from bench.summary import Sample, Summary

_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}-[0-9a-z-]+\.jsonl")


@dataclass(frozen=True, slots=True)
class Failure:
    """A measurement with a wrong answer: its row, its subject and the complaint."""

    row: str
    subject: str
    saw: str


@dataclass(frozen=True, slots=True)
class Record:
    """A run of the bench.

    Attributes:
        measured_at: the end of the run, RFC 3339 UTC.
        revision: the measured commit.
        machine: processor, cores, kernel and Python build, as `machine.describe` names them.
        versions: the version of each subject, by the subject's name.
        seconds_factor: the part of a full run's seconds taken by each measurement.
        seed: of the shuffled order.
        failures: the measurements without figures.
        samples: the figures of every row, subject and round.
    """

    measured_at: str
    revision: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    seconds_factor: float
    seed: int
    failures: Sequence[Failure]
    samples: Sequence[Sample]

    @property
    def summary(self) -> Summary:
        """The medians and spreads of the samples."""
        return Summary(self.samples, ((failure.row, failure.subject) for failure in self.failures))

    def write(self, folder: Path) -> Path:
        """Write the run to a file of `folder`, a head line and a line per sample; gives the file's path."""
        head = {
            "measured_at": self.measured_at,
            "revision": self.revision,
            "machine": dict(self.machine),
            "subjects": dict(self.versions),
            "seconds_factor": self.seconds_factor,
            "seed": self.seed,
            "failures": [asdict(failure) for failure in self.failures],
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.measured_at[:10]}-{self.revision}.jsonl"
        lines = [head, *(asdict(sample) for sample in self.samples)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file made by `write`."""
        head, *lines = (json.loads(line) for line in path.read_text().splitlines())
        return cls(
            measured_at=head["measured_at"],
            revision=head["revision"],
            machine=head["machine"],
            versions=head["subjects"],
            seconds_factor=head["seconds_factor"],
            seed=head["seed"],
            failures=[Failure(**failure) for failure in head["failures"]],
            samples=[Sample(**line) for line in lines],
        )


def newest(folder: Path) -> Path:
    """Give the newest record of a folder, by the time in the record's head line."""
    return max((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_measured_at)


def _measured_at(path: Path) -> str:
    with path.open() as lines:
        return str(json.loads(lines.readline())["measured_at"])
