"""`python -m bench.scale [--orgs N] [--processes N] [--database URL] [--page FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.scale.at_once import measure_at_once
from bench.scale.measure import measure
from bench.scale.page import page


def main() -> None:
    """Measure, and write the page to a file or to stdout."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--orgs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=1_000)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--database", default="", help="an empty one's URL; SQLite by default")
    parser.add_argument("--note", default="", help="what a reader must know of the machine, a sentence")
    options = parser.parse_args()
    scale = measure(options.orgs, options.processes)
    text = page(scale, measure_at_once(options.orgs, database_url=options.database), options.note)
    if options.page is None:
        print(text)
    else:
        options.page.write_text(text)


if __name__ == "__main__":
    main()
