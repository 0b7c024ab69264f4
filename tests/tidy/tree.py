"""The tracked files of the repository, as the tidy tests see them. An untracked file is nobody's yet."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("aigw/", "services/", "shared/")
GENERATED = ("services/control_plane/store/migrations/versions/",)
"""Alembic's revisions: written by a tool to its own layout."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

RAW = ("tests/corpus/requests/", "tests/corpus/streams/")
"""Bytes of a wire: no text, whatever their look."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path below the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_product(self) -> bool:
        """Whether the file ships, as opposed to tests and tools."""
        return self.path.startswith(PRODUCT)

    def functions(self) -> Iterator[Function]:
        """Give every function, methods and inner ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def comments(self) -> Iterator[tuple[int, str]]:
        """Give (line, text) of every comment; a `#` inside a string begins none."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@cache
def tracked() -> tuple[str, ...]:
    """Give the tracked and existing paths, relative to the root, with `/`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return tuple(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


@cache
def texts() -> dict[str, str]:
    """Give the tracked files of UTF-8 text."""
    found = {}
    for path in tracked():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data and not path.startswith(RAW):
            found[path] = data.decode()
    return found


@cache
def sources() -> tuple[Source, ...]:
    """Give the tracked Python files, without generated ones."""
    return tuple(
        Source(path, text, ast.parse(text, path))
        for path, text in texts().items()
        if path.endswith(".py") and not path.startswith(GENERATED)
    )


def named_nodes(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Give every node with the dotted name of the class and function around it (empty at module level)."""
    todo: list[tuple[str, ast.AST]] = [("", source.tree)]
    while todo:
        name, node = todo.pop()
        yield name, node
        if isinstance(node, Function | ast.ClassDef):
            name = f"{name}.{node.name}".lstrip(".")
        todo += [(name, child) for child in ast.iter_child_nodes(node)]


def listing(faults: list[str], remedy: str) -> str:
    """Write the message of a failed check: the remedy, then each place."""
    return f"{remedy}\n  " + "\n  ".join(sorted(faults))
