"""The pages showing a bench record: docs/benchmarks.md, the README's digest, the chart for light and dark.

`python -m bench.pages` writes the pages again from the newest record of `bench/results`, without measuring.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.chart import DARK, LIGHT, chart
from bench.digest import digest
from bench.listing import ROWS
from bench.record import Record, newest
from bench.subjects.listing import NO_PROXY, OURS, SHIPPED, SUBJECTS, YARDSTICK
from bench.table import markdown, replace_between_marks

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
TABLE_PAGE: Final = "docs/benchmarks.md"
DIGEST_PAGE: Final = "README.md"
TABLE_MARK: Final = "bench"
DIGEST_MARK: Final = "bench digest"


def table_of(record: Record) -> str:
    """Write every row of a record as one Markdown table."""
    return markdown(
        record.summary,
        ROWS,
        SUBJECTS,
        machine=record.machine,
        versions=record.versions,
        yardstick=YARDSTICK,
        no_proxy=NO_PROXY,
        ours=OURS,
    )


def pages_of(record: Record, texts: Mapping[str, str]) -> dict[str, str]:
    """Give the new text of every page with a record.

    Args:
        record: the run to show.
        texts: the present text of each page with marks, by its path in the repository.

    Raises:
        ValueError: a page lacks its marks.
    """
    summary, names = record.summary, {"ours": SHIPPED, "yardstick": YARDSTICK, "no_proxy": NO_PROXY}
    return {
        TABLE_PAGE: replace_between_marks(texts[TABLE_PAGE], TABLE_MARK, table_of(record)),
        DIGEST_PAGE: replace_between_marks(
            texts[DIGEST_PAGE], DIGEST_MARK, digest(summary, SUBJECTS, **names)
        ),
        "docs/images/bench-light.svg": chart(summary, LIGHT, **names),
        "docs/images/bench-dark.svg": chart(summary, DARK, **names),
    }


def write_pages(record: Record) -> None:
    """Write every page that shows a record."""
    texts = {page: (ROOT / page).read_text() for page in (TABLE_PAGE, DIGEST_PAGE)}
    for page, text in pages_of(record, texts).items():
        (ROOT / page).write_text(text)


if __name__ == "__main__":
    write_pages(Record.read(newest(RESULTS)))
