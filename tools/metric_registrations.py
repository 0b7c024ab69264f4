"""The metrics that the code registers, read from the sources: name, kind, meaning and labels of each.

Read from the syntax, so no part has to run, and a metric of any part is found by its registration alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDERS: Final = ("services", "shared", "aigw")
KINDS: Final[dict[str, str]] = {
    "CounterMetricFamily": "counter",
    "GaugeMetricFamily": "gauge",
    "HistogramMetricFamily": "histogram",
    "watch": "gauge",
    "watch_count": "counter",
    "watch_counts": "counter",
    "watch_distribution": "histogram",
}
"""The calls that register a metric, by the name of the called function or class."""
NO_METRICS: Final[dict[str, str]] = {
    "aigw_sqlite_begin": "a key of SQLAlchemy's execution options",
    "aigw_ops": "a key of a session's own dictionary",
    "aigw_audited": "a key of a session's own dictionary",
    "aigw_taken": "a key of a session's own dictionary",
}
"""Texts of the code with the form of a metric's name, with their purpose."""
_METRIC_NAME: Final = re.compile(r"aigw_[a-z0-9_]+")
_HELP_LINE: Final = re.compile(r"# HELP (\S+) (.+)")
_TYPE_LINE: Final = re.compile(r"# TYPE (\S+) (\S+)")


@dataclass(frozen=True, slots=True)
class Registration:
    """A metric of the code.

    Attributes:
        name: as exposed; a counter ends in `_total`.
        kind: `counter`, `gauge` or `histogram`.
        meaning: the metric's help text.
        labels: the names of its labels.
        path: the file of the registration, below the root.
    """

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    path: str


def registrations() -> list[Registration]:
    """Give every metric of the product, in the order of files and lines."""
    return [found for path, tree in _trees() for found in registered_in(tree, path)]


def unregistered() -> list[str]:
    """Give (as `path: name`) the texts that look like a metric's name and belong to no registration."""
    names = {found.name.removesuffix("_total") for found in registrations()}
    return [
        f"{path}: {node.value}"
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _METRIC_NAME.fullmatch(node.value)
        and node.value.removesuffix("_total") not in names
        and node.value not in NO_METRICS
    ]


def registered_in(tree: ast.Module, path: str) -> Iterator[Registration]:
    """Give the registrations of a file: by a call, by a loop over rows, or as lines of the text format."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (kind := KINDS.get(_called(node))) and node.args:
            for name, meaning in _rows(node, loops, tree):
                yield Registration(_exposed(name, kind), kind, meaning, _labels(node), path)
    yield from _written_lines(tree, path)


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _rows(call: ast.Call, loops: list[ast.For], tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give (name, meaning) of a call's own texts, or of each row of the loop around the call."""
    if name := _text(call.args[0]):
        yield name, _text(call.args[1])
        return
    for loop in loops:
        if any(node is call for node in ast.walk(loop)) and _first_name(loop.target) == _name(call.args[0]):
            rows = loop.iter if isinstance(loop.iter, ast.Tuple) else _assigned(_name(loop.iter), tree)
            for row in rows.elts if rows else ():
                if isinstance(row, ast.Tuple):
                    yield _text(row.elts[0]), _text(row.elts[1])


def _assigned(name: str, tree: ast.Module) -> ast.Tuple | None:
    """Give the rows assigned to a name; None where the name stands for no rows of texts."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=ast.Tuple() as rows)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.Tuple() as rows)
            ) if target == name:
                return rows
    return None


def _first_name(target: ast.expr) -> str:
    return _name(target.elts[0]) if isinstance(target, ast.Tuple) else ""


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _exposed(name: str, kind: str) -> str:
    return f"{name.removesuffix('_total')}_total" if kind == "counter" else name


def _labels(call: ast.Call) -> tuple[str, ...]:
    """Give the labels of a family, or the one label of `watch_counts` (the third argument)."""
    if _called(call) == "watch_counts":
        return (_text(call.args[2]),)
    for keyword in call.keywords:
        if keyword.arg == "labels" and isinstance(keyword.value, ast.List):
            return tuple(_text(label) for label in keyword.value.elts)
    return ()


def _written_lines(tree: ast.Module, path: str) -> Iterator[Registration]:
    """Give the metrics written as lines of the text format, without labels."""
    texts = [_text(node) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    kinds = {match[1]: match[2] for text in texts if (match := _TYPE_LINE.fullmatch(text))}
    for text in texts:
        if match := _HELP_LINE.fullmatch(text):
            yield Registration(match[1], kinds[match[1]], match[2], (), path)
