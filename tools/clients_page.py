"""Writes the matrix of docs/clients.md from the record of the last measurement.

python -m tools.clients_page

The text around the matrix is written by hand and stays as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.clients.matrix.notes import lines

_ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = _ROOT / "docs" / "clients.md"
RECORD: Final = _ROOT / "tests" / "clients" / "matrix" / "record.json"
_BEGIN: Final = "<!-- The matrix: written by `make docs` from tests/clients/matrix/record.json. -->\n"
_END: Final = "<!-- The end of the matrix. -->\n"
_CALLS: Final = ("plain", "stream", "tools", "websocket", "files")
_FAILURES: Final = ("off", "401", "429", "529", "500", "cut")
_UNKNOWN: Final = "not measured"

Cell = dict[str, Any]


def page() -> str:
    """Give the whole page: the text as it stands, with the matrix of the record."""
    text = PAGE.read_text()
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}\n{_matrix(json.loads(RECORD.read_text()))}\n{_END}{after}"


def _matrix(record: dict[str, Any]) -> str:
    works = ["| client | version | date | plain | stream | tools | WebSocket | files | the provider sees |"]
    works.append("|---" * 9 + "|")
    fails = ["| client | off | key rejected | provider 429 | provider 529 | provider 500 | cut mid-stream |"]
    fails.append("|---" * 7 + "|")
    varies = ["| client | parts of its requests that the client makes up anew at each run |", "|---|---|"]
    for name, row in sorted(record.items(), key=lambda item: item[0].lower()):
        cells = row["cells"]
        calls = " | ".join(_call(cells.get(case)) for case in _CALLS)
        works.append(f"| {name} | {row['version']} | {row['date']} | {calls} | {_differences(cells)} |")
        fails.append(
            f"| {name} | " + " | ".join(_failure(cells.get(case), case) for case in _FAILURES) + " |"
        )
        made_up = {part: None for case in _CALLS for part in cells.get(case, {}).get("varies", ())}
        if made_up:
            varies.append(f"| {name} | {', '.join(f'`{_escaped(part)}`' for part in made_up)} |")
    reasons = ["The reasons for the cells that do not say that a call works or that a sentence is shown:", ""]
    return "\n".join([*works, "", *fails, "", *varies, "", *reasons, *lines(record), ""])


def _call(cell: Cell | None) -> str:
    if cell is None:
        return _UNKNOWN
    if "lacks" in cell:
        return str(cell["lacks"])
    if cell["works"]:
        return "works"
    return "no: " + (_quoted(cell) if cell["ended"] else f"not over in {cell['seconds']:.0f} s")


def _differences(cells: dict[str, Cell]) -> str:
    compared = {case: cell["differs"] for case, cell in cells.items() if "differs" in cell}
    if not compared:
        return _UNKNOWN
    parts = {part: None for found in compared.values() for part in found}
    return f"differs in {_escaped(', '.join(parts))}" if parts else "as directly"


def _failure(cell: Cell | None, case: str) -> str:
    if cell is None:
        return "has no stream" if case == "cut" else _UNKNOWN
    requests = f"{cell['requests']} request{'' if cell['requests'] == 1 else 's'}"
    over = f"over in {cell['seconds']} s" if cell["ended"] else f"not over in {cell['seconds']:.0f} s"
    if case == "cut":
        found = "error" if cell["shown"] else "**no error**"
        return f"{requests}, {found}, {over}" if cell["ended"] else f"{requests}, {over}"
    if cell["shown"] and "seconds_to_sentence" not in cell:
        return f"{requests}, shown, {over}"
    if cell["shown"]:
        end = "" if cell["ended"] else f", {over}"
        return f"{requests}, shown after {cell['seconds_to_sentence']} s{end}"
    return f"{requests}, {over}" + (f", not shown: {_quoted(cell)}" if cell["ended"] else "")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _quoted(cell: Cell) -> str:
    said = cell.get("said", "").replace("|", "\\|").replace("`", "'")[:80]
    return f"`{said}`" if said else "nothing printed"


if __name__ == "__main__":
    PAGE.write_text(page())
