"""The table of faults: how the numbers of a row are shown."""

from __future__ import annotations

from pathlib import Path

from tests.faults.page import merged, page, read_rows, write_rows
from tests.faults.row import Row, as_line, percentile


def test_percentiles_are_of_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, part) for part in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_a_row_shows_counts_and_times() -> None:
    row = Row("Redis killed", "for 5 s", requests=10, changes=2, seconds=[0.02, 1.25])
    assert as_line(row) == "| Redis killed | for 5 s | 10 | 0 | 2 | 0 | 0 | 0 |  | 20 ms / 1.2 s / 1.2 s |  |"


def test_a_missed_bar_is_told() -> None:
    rows = [Row("none", "toggles", seconds=[0.3]), Row("Redis killed", "long", failed=1, seconds=[16.0])]
    text = page(rows, "short")
    assert text.count("**missed**") == 3
    assert "| Redis down, worst | ≤ 15 s | 16.000 s | **missed** |" in text


def test_a_page_made_in_pieces_has_each_fault_as_seen_last(tmp_path: Path) -> None:
    kept = tmp_path / "rows.json"
    write_rows(kept, [Row("a", "x", failed=1), Row("b", "y", seconds=[0.5])])
    rows = merged(read_rows(kept), [Row("c", "z"), Row("a", "x")])
    assert rows == [Row("a", "x"), Row("b", "y", seconds=[0.5]), Row("c", "z")]
    assert read_rows(tmp_path / "absent.json") == []


def test_the_page_says_how_busy_the_machine_was() -> None:
    text = page([Row("a", "x", machine_load=2.5), Row("b", "y", machine_load=17.25)], "full")
    assert "was 2.5 to 17.2, median 2.5." in text
    assert "load average" not in page([Row("a", "x")], "full")
