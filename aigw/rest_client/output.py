"""How an answer of the REST API is printed: for people in aligned columns, for programs as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
