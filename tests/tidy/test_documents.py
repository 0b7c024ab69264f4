"""Documents say what is so: links lead somewhere, generated pages are current, snippets are the real ones."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path, PurePosixPath
from posixpath import normpath

import pytest
import typer
from typer.core import TyperGroup

from aigw.__main__ import app
from bench.pages import RESULTS, pages_of
from bench.record import Record, newest
from shared.providers import PROVIDERS
from tests.tidy.tree import ROOT, listing, sources, texts, tracked
from tools import (
    access_log_page,
    clients_page,
    doctor_page,
    errors_page,
    events_page,
    metrics_page,
    refusals_page,
    rest_page,
    settings_page,
)

MARKDOWN = sorted(path for path in tracked() if path.endswith(".md"))
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
_MAKE = re.compile(r"\bmake ([a-z][a-z-]*)\b")
_COMMAND = re.compile(r"\baigw ([a-z][a-z-]*)\b(?!/)")
_SETTING = re.compile(r"\bAIGW_[A-Z][A-Z0-9_]*\b")
SETTINGS_BASES = {"BackendSettings", "GatewaySettings"}


def _prose(path: str) -> str:
    return _FENCE.sub("", texts()[path])


def _blocks(language: str) -> list[tuple[str, str]]:
    return [
        (path, match["body"])
        for path in MARKDOWN
        for match in _FENCE.finditer(texts()[path])
        if match["language"] == language
    ]


def _code(path: str) -> str:
    """Give what stands in code spans and blocks."""
    spans = re.findall(r"`([^`\n]+)`", _prose(path))
    return "\n".join(spans + [match["body"] for match in _FENCE.finditer(texts()[path])])


def _anchors(path: str) -> set[str]:
    """Give the anchors of a page's headings, made as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _dead(page: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    place = normpath(str(PurePosixPath(page).parent / path)) if path else page
    folders = {str(parent) for name in tracked() for parent in PurePosixPath(name).parents}
    if place not in tracked():
        return place not in folders
    return bool(anchor) and place in MARKDOWN and anchor not in _anchors(place)


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_link_inside_the_repository_leads_somewhere(page: str) -> None:
    targets = [match["target"] or match["image"] for match in _LINK.finditer(_prose(page))]
    faults = [target for target in targets if not re.match(r"[a-z]+:", target) and _dead(page, target)]
    assert not faults, listing(faults, f"Mend these links of {page}; a heading's anchor counts too.")


_PAGES = (
    access_log_page,
    clients_page,
    doctor_page,
    errors_page,
    events_page,
    metrics_page,
    refusals_page,
    rest_page,
    settings_page,
)
_GENERATED = {module.PAGE: module.page for module in _PAGES}


@pytest.mark.parametrize("path", _GENERATED, ids=lambda path: path.stem)
def test_a_generated_page_is_the_one_that_the_code_makes(path: Path) -> None:
    assert path.read_text() == _GENERATED[path](), f"Run `make docs` and commit docs/{path.name}."


@pytest.mark.parametrize("title", settings_page.CLASSES)
def test_every_setting_says_what_it_means(title: str) -> None:
    faults = [
        name for name, _, meaning in settings_page.described(settings_page.CLASSES[title]) if not meaning
    ]
    assert not faults, listing(faults, "Give these fields a description.")


def test_every_settings_class_is_on_the_settings_page() -> None:
    # Those of the planes: the classes below them hold what several planes read alike, or a part of one's.
    below = {
        base.id
        for source in sources()
        if source.is_product
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    found = {
        node.name
        for source in sources()
        if source.is_product
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        and node.name not in below
        and not source.path.startswith("shared/")
        and any(isinstance(base, ast.Name) and base.id in SETTINGS_BASES for base in node.bases)
    }
    shown = {cls.__name__ for cls in settings_page.CLASSES.values()}
    assert found == shown, "Add the class to tools/settings_page.py."


def test_every_setting_that_a_file_speaks_of_exists() -> None:
    documented = set(_SETTING.findall((ROOT / "docs" / "settings.md").read_text())) | {"AIGW_NAME"}
    documented |= {f"{name}_FILE" for name in documented}
    speaking = (
        "aigw/",
        "services/",
        "deploy/",
        "docs/",
        "README",
        "SECURITY",
        "CONTRIBUTING",
        "docker-compose",
    )
    faults = [
        f"{path}: {name}"
        for path, text in texts().items()
        if path.startswith(speaking)
        for name in set(_SETTING.findall(text)) - documented
        if not name.endswith("_")
    ]
    assert not faults, listing(faults, "No settings class has these names.")


@pytest.mark.parametrize(("path", "code"), _blocks("python"))
def test_every_python_snippet_is_python(path: str, code: str) -> None:
    compile(code, path, "exec")


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", texts()["Makefile"], re.MULTILINE))
    faults = [
        f"{path}: make {name}"
        for path in MARKDOWN
        for name in _MAKE.findall(_code(path))
        if name not in targets
    ]
    assert not faults, listing(faults, "The Makefile has no such targets.")


def test_every_command_that_a_page_names_exists() -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    faults = [
        f"{path}: aigw {name}"
        for path in MARKDOWN
        for name in _COMMAND.findall(_code(path))
        if name not in program.commands
    ]
    assert not faults, listing(faults, "The command line has no such commands.")


def test_the_lines_for_a_box_are_the_ones_of_the_provider_table() -> None:
    lines = re.findall(
        r"^export ([A-Z_]+_BASE_URL)=(http\S+)", "\n".join(body for _, body in _blocks("sh")), re.MULTILINE
    )
    expected = {row.environment[0][0]: row.local_base_url for row in PROVIDERS.values()}
    assert {name for name, _ in lines} == set(expected), "Show each line in a `sh` block of a page."
    faults = [f"{name}={url}" for name, url in lines if url != expected[name]]
    assert not faults, listing(faults, "These lines never change: shared/providers has them.")


def test_every_decision_has_its_page_and_its_place_in_the_list() -> None:
    pages = [path for path in MARKDOWN if re.fullmatch(r"docs/adr/\d{4}-[a-z0-9-]+\.md", path)]
    numbers = [PurePosixPath(path).name[:4] for path in pages]
    assert numbers == [f"{number:04}" for number in range(1, len(pages) + 1)]
    index = texts()["docs/adr/README.md"]
    assert [path for path in pages if PurePosixPath(path).name not in index] == []
    for path in pages:
        assert re.search(
            r"^Status: (?:accepted|replaced by \[).*^## Context$.*^## Decision$.*^## Consequences$",
            texts()[path],
            re.MULTILINE | re.DOTALL,
        ), path


def test_every_document_that_the_code_names_exists() -> None:
    named = re.compile(r"\b(?:docs/[\w./-]+\.md|[A-Z]+\.md)\b")
    faults = [
        f"{source.path}: {name}"
        for source in sources()
        if not source.path.startswith("tests/tidy/")
        for name in set(named.findall(source.text))
        if name not in tracked()
    ]
    assert not faults, listing(faults, "Write these pages, or take their names out.")


def test_the_figures_and_the_chart_are_those_of_the_newest_record() -> None:
    pages = pages_of(Record.read(newest(RESULTS)), texts())
    faults = [path for path, text in pages.items() if (ROOT / path).read_text() != text]
    assert not faults, listing(faults, "Run `python -m bench.pages` and commit these.")


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(texts()["README.md"].splitlines()) < 120


def test_the_python_that_the_project_asks_for_is_the_one_that_runs() -> None:
    least = re.search(r'requires-python = ">=(\d+)\.(\d+)"', texts()["pyproject.toml"])
    assert least is not None
    assert sys.version_info >= (int(least[1]), int(least[2]))


def test_every_test_that_the_security_page_points_to_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", texts()["SECURITY.md"]))
    existing = {
        function.name
        for source in sources()
        if source.path.startswith("tests/")
        for function in source.functions()
    }
    assert named
    assert not named - existing, listing(list(named - existing), "SECURITY.md promises tests that are gone.")
