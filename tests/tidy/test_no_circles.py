"""Modules know each other one way: no circle of imports, names that are used for types only included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

PACKAGES = ("aigw", "services", "shared")


def _modules(root: Path) -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imported(source: str, modules: Mapping[str, Path]) -> Iterator[str]:
    """Give the modules of ours that a source imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    full = f"{module}.{alias.name}"
                    yield full if full in modules else module
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case _:
                pass


def circle_of(root: Path) -> list[str]:
    """Give one circle of modules below `root`; empty when there is none."""
    modules = _modules(root)
    knows = {
        name: {other for other in _imported(path.read_text(), modules) if other in modules and other != name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(knows).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_no_modules_import_each_other_in_a_circle_even_for_types() -> None:
    assert circle_of(ROOT) == []


@pytest.mark.parametrize(
    "line", ["from shared.two import Two", "import shared.two", "from shared import two"]
)
def test_a_planted_circle_of_types_is_found(tmp_path: Path, line: str) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "__init__.py").touch()
    guarded = f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    {line}\n"
    (shared / "one.py").write_text(guarded)
    (shared / "two.py").write_text("def late():\n    from shared.one import One\n")
    assert sorted(set(circle_of(tmp_path))) == ["shared.one", "shared.two"]
