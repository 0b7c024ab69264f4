"""The values of a closed set in the code, each with its comment: the source of tables in documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_VALUE: Final = re.compile(r'^\s+(?:[A-Z_]+ = )?"(?P<value>\w+)",?\s+# (?P<comment>.+)$')


class NoSuchSetError(Exception):
    """The file has no such set, or a value of the set has no comment."""


def commented_values(path: str, opening: str) -> dict[str, str]:
    """Give the comment of each value of the set that begins on the line `opening` of a file.

    Raises:
        NoSuchSetError: the line is missing, or no commented value follows.
    """
    _, found, rest = (ROOT / path).read_text().partition(f"\n{opening}\n")
    if not found:
        raise NoSuchSetError(f"{path} has no line {opening!r}")
    values: dict[str, str] = {}
    for line in rest.splitlines():
        if match := _VALUE.match(line):
            values[match["value"]] = match["comment"]
        elif line.strip() == "]" or (line and not line.startswith(" ")):
            break
    if not values:
        raise NoSuchSetError(f"{path}: {opening!r} has no values with a comment")
    return values
