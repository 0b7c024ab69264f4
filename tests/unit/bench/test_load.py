"""The two C programs against each other: a right answer counts, anything else ends the run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.build import build
from bench.measure import Load, WrongAnswerError, measure
from bench.rows import Row
from bench.subjects.subject import Running
from bench.upstream import Upstream, running_upstream
from bench.workload import UPSTREAM_KEY, UPSTREAM_PREFIX, Work, write_files
from shared.proxy_preface import encode_preface

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on PATH")

_CORE = min(os.sched_getaffinity(0))


@dataclass(frozen=True)
class _Bench:
    load: Load
    upstream: Upstream

    def measure(
        self, work: Work, *, key: str = UPSTREAM_KEY, prefix: str = UPSTREAM_PREFIX, path: str | None = None
    ) -> dict[str, float]:
        row = Row("r", "r", work, connections=3, figures=(), seconds=60, most=30)
        running = Running(self.upstream.port, None, prefix=prefix, key=key, path=path)
        return measure(row, self.load, running, core=_CORE)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Bench]:
    folder = tmp_path_factory.mktemp("bench")
    programs = build(folder)
    files = write_files(folder)
    with running_upstream(programs, files, folder, _CORE) as upstream:
        yield _Bench(Load(programs.load, files, folder), upstream)


def test_answers_are_counted_on_kept_connections(bench: _Bench) -> None:
    counted = bench.measure(Work("json"))
    assert (counted["responses"], counted["connects"], counted["bytes"]) == (30, 3, 30 * 620)


def test_an_upload_of_a_megabyte_is_swallowed(bench: _Bench) -> None:
    assert bench.measure(Work("json", body_bytes=1024 * 1024))["responses"] == 30


@pytest.mark.parametrize("interval_us", [0, 100])
def test_every_event_of_a_stream_arrives_as_a_chunk_of_its_own(bench: _Bench, interval_us: int) -> None:
    counted = bench.measure(Work("sse", events=200, interval_us=interval_us))
    assert (counted["events"], counted["chunks"]) == (6000, 6000)
    assert counted["delay_p50_us"] > 0


def test_a_wrong_credential_fails_the_run(bench: _Bench) -> None:
    with pytest.raises(WrongAnswerError, match="400"):
        bench.measure(Work("json"), key="run9-placeholder")


def test_a_path_that_still_has_the_box_prefix_fails_the_run(bench: _Bench) -> None:
    with pytest.raises(WrongAnswerError, match="400"):
        bench.measure(Work("json"), prefix="/run9/ai/openai/v1")


@pytest.mark.parametrize(
    ("asked", "expected", "complaint"), [(3, 4, "expected 688"), (3, 2, "longer than 344")]
)
def test_a_stream_of_another_length_fails_the_run(
    bench: _Bench, tmp_path: Path, asked: int, expected: int, complaint: str
) -> None:
    running = Running(bench.upstream.port, None, prefix=UPSTREAM_PREFIX, key=UPSTREAM_KEY)
    load = Load(bench.load.program, bench.load.options, tmp_path)
    command = load.command(Work("sse", events=asked), running, connections=1, seconds=5, most=1)
    command[command.index("--events") + 1] = str(expected)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_body_that_was_written_anew_is_taken_on_the_path_for_any_length(bench: _Bench) -> None:
    assert bench.measure(Work("json"), path="/v1/json/0/chat/completions")["responses"] == 30
    with pytest.raises(WrongAnswerError, match="400"):
        bench.measure(Work("json"), path="/v1/json/7/chat/completions")


@pytest.mark.parametrize(("words", "status"), [(b"the quick brown fox", 0), (b"what nobody said", 1)])
def test_an_answer_that_was_written_anew_must_hold_the_words(
    bench: _Bench, tmp_path: Path, words: bytes, status: int
) -> None:
    running = Running(bench.upstream.port, None, prefix=UPSTREAM_PREFIX, key=UPSTREAM_KEY, rewrites=True)
    load = Load(bench.load.program, bench.load.options, tmp_path)
    command = load.command(Work("json"), running, connections=1, seconds=5, most=3)
    (tmp_path / "words").write_bytes(words)
    (tmp_path / "other").write_bytes(b"another document")
    command[command.index("--answer-words") + 1] = str(tmp_path / "words")
    command[command.index("--answer-body") + 1] = str(tmp_path / "other")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("lacks the model's words" in done.stderr) == bool(status)


def test_a_preface_is_sent_once_per_connection_and_skipped_by_the_upstream(
    bench: _Bench, tmp_path: Path
) -> None:
    preface = tmp_path / "preface"
    preface.write_bytes(encode_preface(b"t" * 600))
    row = Row("r", "r", Work("json"), connections=3, figures=(), seconds=60, most=30)
    running = Running(
        bench.upstream.port, None, prefix=UPSTREAM_PREFIX, key=UPSTREAM_KEY, preface_file=preface
    )
    counted = measure(row, bench.load, running, core=_CORE)
    assert (counted["responses"], counted["connects"]) == (30, 3)
