"""The Portal's modules without a browser: their own tests under Node, the linter and the type check."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from services.control_plane.api.providers import offer_of
from shared.providers import LOCAL_ORIGIN, PROVIDERS
from tests.portal.chromium import node_module
from tests.support.gateway import clean_environment
from tests.support.servers.tools import find_program, missing

ROOT: Final = Path(__file__).resolve().parents[2]
STATIC: Final = ROOT / "services" / "control_plane" / "portal" / "static"
COMMENTS: Final = ("//", "*", "/*")


def test_the_modules_pass_their_own_tests_under_node(tmp_path: Path) -> None:
    node = find_program("node") or missing("Node")
    tests = sorted(Path(__file__).with_name("modules").glob("*.test.js"))
    offer = tmp_path / "offer.json"
    offer.write_text(offer_of(PROVIDERS.values(), LOCAL_ORIGIN).model_dump_json())
    _run([node, "--test", *tests], clean_environment(OFFER=str(offer)))


def test_no_module_names_a_provider() -> None:
    words = {word for row in PROVIDERS.values() for word in (row.name, row.title, row.vendor)}
    words |= {shape.prefix for row in PROVIDERS.values() for shape in row.keys if shape.prefix != "sk-"}
    pattern = re.compile("|".join(rf"\b{re.escape(word)}" for word in words))
    for file in STATIC.glob("*.js"):
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith(COMMENTS)]
        # Stand-ins for keys in documents begin like keys of every vendor.
        code = "\n".join(line for line in lines if "api\\d\\d" not in line)
        assert not pattern.search(code), f"{file.name}: {pattern.search(code)}"


def test_the_linter_and_the_type_check_find_nothing() -> None:
    for package in ("@biomejs/biome/package.json", "typescript/package.json"):
        node_module(package)
    _run([ROOT / "tools" / "portal_check.sh"])


def _run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    found = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)
    assert found.returncode == 0, found.stdout + found.stderr
