"""The command line of the bench: `make bench`, or `python -m bench --quick`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

from bench.build import BuildError, build
from bench.listing import ROWS, AnyRow
from bench.machine import choose_cores, describe, pinned_to
from bench.measure import Load
from bench.pages import RESULTS, ROOT, table_of, write_pages
from bench.processes import StartError
from bench.record import Failure, Record
from bench.rounds import Plan, Played, Stage
from bench.subjects.listing import SUBJECTS
from bench.subjects.subject import Subject
from bench.upstream import running_upstream
from bench.workload import write_files
from shared.clock import unix_now, utc

_TOOLS: Final = ROOT / ".tools" / "bench"
_QUICK_FACTOR: Final = 0.5
_MOST_ROUNDS: Final = 100


def main() -> int:
    """Run the bench; gives the exit status: 1 when an answer was wrong or something did not start."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)  # so that everything that was started is stopped
    try:
        rows, subjects = _chosen(options)
        return _bench(options, rows, subjects)
    except (BuildError, StartError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(143)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the gateway beside its peers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round of the main rows, under a minute"
    )
    parser.add_argument(
        "--only", action="append", choices=[row.name for row in ROWS], help="only this row (repeatable)"
    )
    parser.add_argument(
        "--subjects",
        action="append",
        choices=[one.name for one in SUBJECTS],
        help="only this subject (repeatable)",
    )
    parser.add_argument("--rounds", type=int, default=_MOST_ROUNDS, help="at most so many rounds")
    parser.add_argument("--seed", type=int, default=1, help="of the shuffled order")
    parser.add_argument("--out", type=Path, help="folder of the raw rows (bench/results for a full run)")
    parser.add_argument("--write-pages", action="store_true", help="show the figures in the documents")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> tuple[list[AnyRow], list[Subject]]:
    rows = [row for row in ROWS if row.name in options.only] if options.only else [*ROWS]
    if options.quick and not options.only:
        rows = [row for row in rows if row.in_quick]
    subjects = []
    for subject in SUBJECTS:
        asked_for = (
            subject.name in options.subjects if options.subjects else subject.in_quick or not options.quick
        )
        if not asked_for:
            continue
        if (reason := subject.missing()) is not None:
            print(f"skipped {subject.name}: {reason}", file=sys.stderr)
        else:
            subjects.append(subject)
    return rows, subjects


def _bench(options: argparse.Namespace, rows: list[AnyRow], subjects: list[Subject]) -> int:
    cores = choose_cores()
    machine = describe(cores)
    programs = build(_TOOLS)
    if not programs.has_tls:
        print("skipped the TLS rows: OpenSSL's headers (libssl-dev) are not there", file=sys.stderr)
        rows = [row for row in rows if not row.tls]
    if not rows or not subjects:
        print("bench: nothing left to measure", file=sys.stderr)
        return 1
    plan = Plan(
        rows,
        subjects,
        most_rounds=1 if options.quick else options.rounds,
        seconds_factor=_QUICK_FACTOR if options.quick else 1.0,
        seed=options.seed,
    )
    folder = _TOOLS / f"run-{os.getpid()}"
    files = write_files(folder / "work")
    load = Load(programs.load, files, folder / "work")
    with (
        pinned_to(cores.load),
        running_upstream(programs, files, folder, cores.load) as upstream,
        closing(Stage(folder, cores, upstream, load)) as stage,
    ):
        played = stage.play(plan)
    if played.failures:
        print(f"bench: the logs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    is_record = not (options.quick or options.only or options.subjects)
    out = options.out or (RESULTS if is_record else _TOOLS / "results")
    return _report(played, plan, machine, out, write=options.write_pages)


def _report(played: Played, plan: Plan, machine: dict[str, str], out: Path, *, write: bool) -> int:
    record = Record(
        measured_at=utc(unix_now()).isoformat(timespec="seconds"),
        revision=_revision(),
        machine=machine,
        versions={subject.name: subject.version() for subject in plan.subjects},
        seconds_factor=plan.seconds_factor,
        seed=plan.seed,
        failures=[Failure(row, subject, saw) for (row, subject), saw in played.failures.items()],
        samples=played.samples,
    )
    print(table_of(record))
    print(f"raw rows: {record.write(out)}", file=sys.stderr)
    if write:
        write_pages(record)
    for failure in record.failures:
        print(f"FAILED {failure.row} / {failure.subject}: {failure.saw}", file=sys.stderr)
    return 1 if record.failures else 0


def _revision() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
