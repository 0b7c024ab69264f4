"""The command line of the bench: `make bench`, or `python -m bench --quick`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from bench.build import BuildError, build
from bench.listing import ROWS, AnyRow
from bench.machine import choose_cores, describe, pinned_to
from bench.measure import Load
from bench.processes import StartError
from bench.rounds import Plan, Played, Stage
from bench.subjects.listing import NO_PROXY, OURS, SUBJECTS, YARDSTICK
from bench.subjects.subject import Subject
from bench.summary import Summary
from bench.table import markdown, replace_between_marks
from bench.upstream import running_upstream
from bench.workload import write_files
from shared.clock import unix_now, utc

_ROOT: Final = Path(__file__).resolve().parent.parent
_TOOLS: Final = _ROOT / ".tools" / "bench"
_RESULTS: Final = _ROOT / "bench" / "results"
_README: Final = _ROOT / "README.md"
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
    parser.add_argument("--write-readme", action="store_true", help="put the table into README.md")
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
    out = options.out or (_RESULTS if is_record else _TOOLS / "results")
    return _report(played, plan, machine, out, write_readme=options.write_readme)


def _report(played: Played, plan: Plan, machine: dict[str, str], out: Path, *, write_readme: bool) -> int:
    summary = Summary(played.samples, played.failures)
    table = markdown(
        summary,
        plan.rows,
        plan.subjects,
        machine=machine,
        yardstick=YARDSTICK,
        no_proxy=NO_PROXY,
        ours=OURS,
    )
    print(table)
    print(f"raw rows: {_keep_raw(played, plan, machine, out)}", file=sys.stderr)
    if write_readme:
        _write_readme(table)
    for (row, subject), complaint in played.failures.items():
        print(f"FAILED {row} / {subject}: {complaint}", file=sys.stderr)
    return 1 if played.failures else 0


def _keep_raw(played: Played, plan: Plan, machine: dict[str, str], out: Path) -> Path:
    now = utc(unix_now())
    revision = _revision()
    head = {
        "measured_at": now.isoformat(timespec="seconds"),
        "revision": revision,
        "machine": machine,
        "subjects": {subject.name: subject.version() for subject in plan.subjects},
        "seconds_factor": plan.seconds_factor,
        "seed": plan.seed,
        "failures": [{"row": row, "subject": who, "saw": saw} for (row, who), saw in played.failures.items()],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{now:%Y-%m-%d}-{revision}.jsonl"
    lines = [head, *(asdict(sample) for sample in played.samples)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _revision() -> str:
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _write_readme(table: str) -> None:
    page = replace_between_marks(_README.read_text(), table) if _README.exists() else None
    if page is None:
        print("README.md has no <!-- bench --> … <!-- /bench --> to write into", file=sys.stderr)
    else:
        _README.write_text(page)


if __name__ == "__main__":
    sys.exit(main())
