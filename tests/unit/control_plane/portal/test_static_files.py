"""The files served by the Portal: complete, of one version, and agreeing with the rest of the gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.control_plane.portal.shell import STYLE_SHEETS
from services.control_plane.portal.static_files import StaticFiles

FOLDER = Path("services/control_plane/portal/static")
ROOT = Path(__file__).resolve().parents[4]
MODULES = sorted((ROOT / FOLDER).glob("*.js"))
SHEETS = sorted((ROOT / FOLDER).glob("*.css"))
MAX_LINES = 400
# What turns text into markup, code or a style; nothing here needs any of it.
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.style\b|srcdoc|"
    r"setAttribute\(\"(?:on|style)"
)
STORAGE = re.compile(r"localStorage|sessionStorage|indexedDB")
KEEPERS = {"sign_in_page.js": "the address of the page that a person came for, until they have signed in"}
TYPE_IMPORT = re.compile(r"/\*\* @import .*?\*/")
"""For the type checker alone: a browser reads a comment."""


def test_every_import_is_a_file_that_is_served() -> None:
    static = StaticFiles.read()
    for module in MODULES:
        assert module.name in static.by_name
        code = TYPE_IMPORT.sub("", module.read_text())
        for name in re.findall(r'from "\./([^"]+)"', code):
            assert name in static.by_name


def test_the_version_stands_for_the_content() -> None:
    static = StaticFiles.read()
    assert static.version == StaticFiles.read().version
    assert static.url("main.js") == f"/static/{static.version}/main.js"
    with pytest.raises(KeyError):
        static.url("missing.js")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_module_writes_markup_or_keeps_anything_in_the_browser(module: Path) -> None:
    assert SINKS.findall(module.read_text()) == []
    assert module.name in KEEPERS or STORAGE.findall(module.read_text()) == []


def test_every_style_sheet_is_linked() -> None:
    assert sorted(STYLE_SHEETS) == [path.name for path in SHEETS]


@pytest.mark.parametrize("path", [*MODULES, *SHEETS], ids=lambda path: path.name)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    assert path.read_text().count("\n") <= MAX_LINES
