"""Writes the matrix of docs/clients.md from the record of the last measurement.

python -m tools.clients_page

The text around the matrix is written by hand and stays as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = _ROOT / "docs" / "clients.md"
RECORD: Final = _ROOT / "tests" / "clients" / "matrix" / "record.json"
_BEGIN: Final = "<!-- The matrix: written by `make docs` from tests/clients/matrix/record.json. -->\n"
_END: Final = "<!-- The end of the matrix. -->\n"
_CALLS: Final = ("plain", "stream", "tools", "websocket", "files")
_FAILURES: Final = ("off", "401", "429", "529", "500", "cut")
_COMMAND_LINES: Final = ("Claude ", "Codex", "opencode", "GitHub Copilot", "qwen-code")
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
    for name, row in sorted(record.items(), key=lambda item: item[0].lower()):
        cells = row["cells"]
        calls = " | ".join(_call(name, case, cells.get(case)) for case in _CALLS)
        works.append(f"| {name} | {row['version']} | {row['date']} | {calls} | {_differences(cells)} |")
        fails.append(
            f"| {name} | " + " | ".join(_failure(cells.get(case), case) for case in _FAILURES) + " |"
        )
    return "\n".join([*works, "", *fails, ""])


def _call(name: str, case: str, cell: Cell | None) -> str:
    if cell is None and case == "websocket" and name.endswith("anthropic"):
        return "the API has none"
    if cell is None and case == "plain" and name.startswith(_COMMAND_LINES):
        return "always streams"
    if cell is None:
        return _UNKNOWN
    if cell["works"]:
        return "works"
    return "no: " + (_quoted(cell) if cell["ended"] else f"not over in {cell['seconds']:.0f} s")


def _differences(cells: dict[str, Cell]) -> str:
    compared = {case: cell["differs"] for case, cell in cells.items() if "differs" in cell}
    if not compared:
        return _UNKNOWN
    found = [f"{case}: {differs}" for case, differs in compared.items() if differs]
    return "as directly" if not found else "differs in " + ", ".join(found)


def _failure(cell: Cell | None, case: str) -> str:
    if cell is None:
        return _UNKNOWN
    if not cell["ended"]:
        return f"{cell['requests']} requests, not over in {cell['seconds']:.0f} s"
    requests = f"{cell['requests']} request{'' if cell['requests'] == 1 else 's'}"
    if case == "cut":
        shown = "error" if cell["shown"] else "**no error**"
    else:
        shown = "shown" if cell["shown"] else "not shown: " + _quoted(cell)
    return f"{requests}, {cell['seconds']} s, {shown}"


def _quoted(cell: Cell) -> str:
    said = cell.get("said", "").replace("|", "\\|").replace("`", "'")[:80]
    return f"`{said}`" if said else "nothing printed"


if __name__ == "__main__":
    PAGE.write_text(page())
