"""How an answer of the REST API is printed: for people in aligned columns, for programs as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VERDICTS: Final = {
    "valid": "is accepted at",
    "invalid": "was refused at",
    "unknown": "is neither known to be good nor to be bad at",
}
_STEP_CHARS: Final = len("authentication")
_STATUS_CHARS: Final = len("skipped")


def show(value: object, *, as_json: bool) -> None:
    """Print an object: a line for each of its fields, or JSON."""
    if as_json:
        typer.echo(json.dumps(value, indent=2))
    elif isinstance(value, dict):
        flat = dict(_flat(value))
        width = max(map(len, flat), default=0)
        for name, text in flat.items():
            typer.echo(f"{name:<{width}}  {text}")


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list: aligned columns under their names, or JSON."""
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    cells = [
        [name.upper() for name in columns],
        *([_text(row.get(name)) for name in columns] for row in rows),
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_done(sentence: str, outcome: Mapping[str, Any], *, as_json: bool) -> None:
    """Print that a change without an answer of its own was made: a sentence, or JSON."""
    if as_json:
        show(outcome, as_json=True)
    else:
        typer.echo(sentence)


def show_key_test(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result of a key test: the verdict and a line for each step, or JSON."""
    if as_json:
        show(result, as_json=True)
        return
    tested = "The typed key" if result["tested"] == "typed" else f"The stored key …{result['key_last4']}"
    typer.echo(f"{tested} {_VERDICTS[result['verdict']]} {result['endpoint']}.")
    for step in result["steps"]:
        seconds = "" if step["seconds"] is None else f"  ({step['seconds']:.2f} s)"
        name = step["step"].replace("_", " ")
        typer.echo(f"  {name:<{_STEP_CHARS}}  {step['status']:<{_STATUS_CHARS}}  {step['detail']}{seconds}")


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            lines += _flat(inner, f"{prefix}{name}.")
        else:
            lines.append((prefix + name, _text(inner)))
    return lines


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(one, str | int | float) for one in value):
            return ", ".join(map(str, value))
        case list():
            return json.dumps(value)
        case _:
            return str(value)
