"""The Portal's modules without a browser: their own tests under Node, the linter and the type check."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.portal.chromium import node_module
from tests.support.servers.tools import find_program, missing

ROOT: Final = Path(__file__).resolve().parents[2]


def test_the_modules_pass_their_own_tests_under_node() -> None:
    node = find_program("node") or missing("Node")
    tests = sorted(Path(__file__).with_name("modules").glob("*.test.js"))
    _run([node, "--test", *tests])


def test_the_linter_and_the_type_check_find_nothing() -> None:
    for package in ("@biomejs/biome/package.json", "typescript/package.json"):
        node_module(package)
    _run([ROOT / "tools" / "portal_check.sh"])


def _run(command: list[str | Path]) -> None:
    found = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
