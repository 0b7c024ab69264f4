"""The tree is the map: unit tests mirror the sources, and CI runs what a person runs."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest

from tests.tidy.tree import ROOT, listing, texts, tracked

UNIT = "tests/unit/"
PLANES = {"control_plane", "data_plane", "node_agent"}
MAX_CI_LINES = 15
UNIT_TESTED = "services/data_plane/relay/"
"""A package whose every file can be built without a socket, and so has a unit test of its own."""


def _mirrored(folder: PurePosixPath) -> str:
    first = folder.parts[0]
    return str(PurePosixPath("services") / folder) if first in PLANES else str(folder)


def test_every_folder_of_unit_tests_mirrors_a_source_folder() -> None:
    folders = {PurePosixPath(path.removeprefix(UNIT)).parent for path in tracked() if path.startswith(UNIT)}
    sources = {str(parent) for path in tracked() for parent in PurePosixPath(path).parents}
    support = {str(PurePosixPath("tests") / folder) for folder in folders} & sources
    faults = [
        str(folder)
        for folder in folders
        if folder.parts and _mirrored(folder) not in sources and f"tests/{folder}" not in support
    ]
    assert not faults, listing(faults, f"Put these folders of {UNIT} where their sources are.")


@pytest.mark.parametrize(
    "module",
    sorted(
        {
            PurePosixPath(PurePosixPath(path).parts[1]).stem
            for path in tracked()
            if path.startswith("shared/") and path.endswith(".py") and path != "shared/__init__.py"
        }
    ),
)
def test_every_shared_module_or_package_has_its_tests(module: str) -> None:
    assert f"{UNIT}shared/test_{module}.py" in tracked()


@pytest.mark.parametrize(
    "path",
    [path for path in tracked() if path.startswith(UNIT_TESTED) and not path.endswith("/__init__.py")],
)
def test_every_file_of_the_relay_has_a_unit_test_at_the_mirrored_path(path: str) -> None:
    source = PurePosixPath(path).relative_to("services")
    assert f"{UNIT}{source.parent}/test_{source.name}" in tracked()


def test_no_two_test_files_of_a_folder_share_a_name_and_no_test_folder_is_a_package() -> None:
    tests = [path for path in tracked() if path.startswith("tests/") and path.endswith(".py")]
    assert [path for path, count in Counter(map(str.lower, tests)).items() if count > 1] == []
    faults = [path for path in tests if path.endswith("__init__.py")]
    assert not faults, listing(faults, "Delete these; pytest imports by importlib.")


def test_ci_calls_make_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text().splitlines()
    assert script.stat().st_mode & 0o111
    assert len(lines) <= MAX_CI_LINES
    steps = [line for line in lines if line.startswith("make ")]
    assert steps == ["make check", "make test-tools", "make test", "make compiled", "make pythons"]
    assert lines[-len(steps) :] == steps


def test_every_package_of_the_product_is_known_to_the_type_checker_and_the_wheel() -> None:
    config = texts()["pyproject.toml"]
    for package in ("aigw", "services", "shared"):
        assert config.count(f'"{package}"') >= 3
