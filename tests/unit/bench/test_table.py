"""Tests of `bench/table.py`: how the table is written."""

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from bench.rows import Figure, Row
from bench.subjects.subject import Running, Subject, Surroundings
from bench.summary import Sample, Summary
from bench.table import markdown, replace_between_marks
from bench.workload import Work


def _never_started(_: Surroundings) -> AbstractContextManager[Running]:
    raise AssertionError("a table starts nothing")


def _subject(name: str) -> Subject:
    return Subject(name, name.title(), lambda: None, _never_started, lambda: f"{name} 1.0")


_SUBJECTS = [_subject(name) for name in ("direct", "nginx", "gateway")]
_VERSIONS = {subject.name: subject.version() for subject in _SUBJECTS}
_ROWS = [
    Row(
        "json",
        "JSON",
        Work("json"),
        1,
        (Figure("cpu", "CPU"), Figure("p50", "added p50", over_no_proxy=True)),
    ),
    Row("sse", "SSE", Work("sse", events=2), 1, (Figure("cpu", "CPU"),)),
]
_SAMPLES = [
    Sample("json", "direct", 0, {"p50": 10}),
    Sample("json", "nginx", 0, {"cpu": 20, "p50": 30}),
    Sample("json", "nginx", 1, {"cpu": 24, "p50": 30}),
    Sample("json", "gateway", 0, {"cpu": 33, "p50": 40}),
]


def _table(samples: list[Sample], failures: list[tuple[str, str]]) -> list[str]:
    summary = Summary(samples, failures)
    text = markdown(
        summary,
        _ROWS,
        _SUBJECTS,
        machine={"cpu": "Z80"},
        versions=_VERSIONS,
        yardstick="nginx",
        no_proxy="direct",
    )
    return text.splitlines()


def test_cells_hold_median_spread_and_ratio_and_unmeasured_rows_are_left_out() -> None:
    lines = _table(_SAMPLES, [])
    assert lines[:2] == ["| what | Direct | Nginx | Gateway |", "| --- | ---: | ---: | ---: |"]
    assert lines[2] == "| JSON: CPU | – | 22.0 (20.0–24.0) | 33.0 **×1.50** |"  # noqa: RUF001  # as printed
    assert lines[3] == "| JSON: added p50 | – | 20.0 | 30.0 **×1.50** |"  # noqa: RUF001  # as printed
    assert lines[4] == ""


def test_a_figure_that_may_be_near_zero_has_no_ratio() -> None:
    row = Row("json", "JSON", Work("json"), 1, (Figure("cpu", "CPU", compared=False),))
    text = markdown(
        Summary(_SAMPLES),
        [row],
        _SUBJECTS,
        machine={"cpu": "Z80"},
        versions=_VERSIONS,
        yardstick="nginx",
        no_proxy="direct",
    )
    assert "| 33.0 |" in text


def test_a_failure_is_shown_and_never_a_number_from_an_earlier_round() -> None:
    assert "| failed |" in _table(_SAMPLES, [("json", "gateway")])[2]


def test_the_machine_and_the_versions_are_named() -> None:
    last = _table([*_SAMPLES, Sample("sse", "nginx", 0, {"foreign_share": 0.5})], [])[-1]
    assert last.startswith(
        "Measured on: cpu Z80. Versions: direct 1.0; nginx 1.0; gateway 1.0. Of 1 measurements, 1"
    )


def test_only_the_text_between_the_marks_is_replaced() -> None:
    page = "a\n<!-- bench -->\nold\n<!-- /bench -->\nz\n"
    assert replace_between_marks(page, "bench", "new\n") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nz\n"


@pytest.mark.parametrize("page", ["no marks", "<!-- /bench --> <!-- bench -->", "<!-- bench digest -->"])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="<!-- bench -->"):
        replace_between_marks(page, "bench", "new\n")


_PEER = replace(_subject("peer"), only=frozenset({"json"}), least_times_ours=50)
_PEER_SAMPLES = [
    Sample("json", name, 0, {"cpu_us_per_request": value})
    for name, value in (("gateway", 20), ("nginx", 16), ("peer", 1500))
]


def _with_peer(samples: list[Sample], failures: list[tuple[str, str]]) -> list[str]:
    text = markdown(
        Summary(samples, failures),
        _ROWS,
        [*_SUBJECTS, _PEER],
        machine={},
        versions=_VERSIONS,
        yardstick="nginx",
        no_proxy="direct",
        ours=["gateway"],
    )
    return text.splitlines()


def test_a_peer_has_no_column_but_a_line_with_its_ratio_and_budget() -> None:
    lines = _with_peer(_PEER_SAMPLES, [])
    assert lines[0] == "| what | Direct | Nginx | Gateway |"
    assert "- Peer: 1,500.0, **×75 Gateway** (budget: at least ×50)" in lines  # noqa: RUF001  # as printed


def test_a_peer_that_failed_is_said_to_have_and_one_that_did_not_run_is_not_told_of() -> None:
    assert "- Peer: failed" in _with_peer(_PEER_SAMPLES, [("json", "peer")])
    assert not any("Peer" in line for line in _with_peer(_PEER_SAMPLES[:2], [])[:-1])
