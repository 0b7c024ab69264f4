"""The house style (STYLE.md) that no linter checks: sizes, docstrings, names, nothing left undone."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import PurePosixPath

from tests.tidy.tree import Function, listing, named_nodes, sources, texts, tracked

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_FUNCTION_LINES = 12
MIN_WORDS_OF_A_TEST_NAME = 3
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
RUN_BY_THEIR_TOOL = {"services/control_plane/store/migrations/env.py"}
"""Files that a tool executes instead of importing: alembic's environment."""
UNDONE = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def _lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_file_is_longer_than_one_noun_needs() -> None:
    faults = [
        f"{source.path}: {lines} lines"
        for source in sources()
        if (lines := source.text.count("\n")) > MAX_FILE_LINES
    ]
    assert not faults, listing(faults, f"Split these files by noun; {MAX_FILE_LINES} lines are the limit.")


def test_no_function_is_longer_than_a_screen() -> None:
    faults = [
        f"{source.path}:{function.lineno} {function.name}: {_lines(function)} lines"
        for source in sources()
        for function in source.functions()
        if _lines(function) > MAX_FUNCTION_LINES
    ]
    assert not faults, listing(
        faults, f"Cut these functions into steps of {MAX_FUNCTION_LINES} lines at most."
    )


def test_most_functions_are_short() -> None:
    lengths = [
        _lines(function) for source in sources() if source.is_product for function in source.functions()
    ]
    assert statistics.median(lengths) <= MAX_MEDIAN_FUNCTION_LINES


def test_every_module_says_what_it_owns() -> None:
    faults = [
        source.path
        for source in sources()
        if source.text.strip() and len((ast.get_docstring(source.tree) or "").split()) < 4
    ]
    assert not faults, listing(faults, "Open these files with a sentence on what they own.")


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    faults = [
        path
        for path in tracked()
        if BANNED_NAMES & {part.split(".")[0] for part in PurePosixPath(path).parts}
    ]
    assert not faults, listing(faults, "Name these after the one thing that they hold.")


def test_nothing_is_left_for_later() -> None:
    faults = [
        f"{source.path}:{line} {comment}"
        for source in sources()
        for line, comment in source.comments()
        if UNDONE.search(comment)
    ]
    assert not faults, listing(faults, "Do it now, or open an issue and delete the comment.")


def test_no_stub_is_called_done() -> None:
    faults = [
        f"{source.path}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    assert not faults, listing(faults, "Write it, or leave it out.")


def test_a_test_name_is_a_sentence() -> None:
    faults = [
        f"{source.path}:{function.lineno} {function.name}"
        for source in sources()
        if source.path.startswith("tests/")
        for function in source.functions()
        if function.name.startswith("test_") and len(function.name.split("_")) - 1 < MIN_WORDS_OF_A_TEST_NAME
    ]
    assert not faults, listing(faults, "Say in the name what holds: test_a_member_cannot_edit.")


def test_our_own_code_is_not_patched() -> None:
    faults = [
        f"{source.path}:{node.lineno}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"setattr", "setitem", "delattr"}
        and isinstance(node.value, ast.Name)
        and "monkeypatch" in node.value.id
    ]
    assert not faults, listing(
        faults, "Give a fake through the constructor; a patch is the sign of a missing seam."
    )


def test_nothing_is_started_at_import() -> None:
    """A module level statement is a definition, an assignment, an import, a docstring or a guarded main."""
    quiet = (
        ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.AugAssign
        | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If
    )  # fmt: skip
    faults = [
        f"{source.path}:{node.lineno} {ast.unparse(node)[:60]}"
        for source in sources()
        if source.is_product and source.path not in RUN_BY_THEIR_TOOL
        for node in source.tree.body
        if not isinstance(node, quiet)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not _registers_on_a_local_name(node)
    ]
    assert not faults, listing(faults, "Move this into a function that bootstrap or the command line calls.")


def _registers_on_a_local_name(node: ast.stmt) -> bool:
    """Whether this is `app.add_typer(…)` or the like: building a value that the module itself made."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and isinstance(node.value.func.value, ast.Name)
        and node.value.func.attr in {"add_typer", "command", "callback", "include_router", "add_api_route"}
    )


def test_no_module_keeps_changing_state_of_its_own() -> None:
    faults = [
        f"{source.path}:{node.lineno} global {', '.join(node.names)}"
        for source in sources()
        for _, node in named_nodes(source)
        if isinstance(node, ast.Global)
    ]
    assert not faults, listing(faults, "Hold this in an object that bootstrap builds.")


def test_every_shell_script_stops_at_the_first_error() -> None:
    faults = [
        path
        for path, text in texts().items()
        if re.match(r"#!.*\b(?:ba)?sh\b", text) and not re.search(r"^set -e", text, re.MULTILINE)
    ]
    assert not faults, listing(faults, "Begin with `set -euo pipefail` (`set -eu` in sh).")
