"""Tests of `bench/table.py`: how the table is written."""

from contextlib import AbstractContextManager

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
    text = markdown(summary, _ROWS, _SUBJECTS, machine={"cpu": "Z80"}, yardstick="nginx", no_proxy="direct")
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
        Summary(_SAMPLES), [row], _SUBJECTS, machine={"cpu": "Z80"}, yardstick="nginx", no_proxy="direct"
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
    assert replace_between_marks(page, "new\n") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nz\n"
    assert replace_between_marks("no marks", "new\n") is None
    assert replace_between_marks("<!-- /bench --> <!-- bench -->", "new\n") is None
