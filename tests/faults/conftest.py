"""The options and the one site of the fault tests.

`--faults full` runs them in full length; `--faults-page FILE` writes their table. `--faults-rows FILE` keeps
the rows there and adds those of earlier runs, so that the table can be made in pieces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults import page
from tests.faults.form import FULL, FULL_ONLY, SHORT, Form
from tests.faults.site import Backends, Site


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=["short", "full"], default="short", help="length of the fault tests")
    parser.addoption("--faults-page", default="", metavar="FILE", help="write the table of faults there")
    parser.addoption("--faults-rows", default="", metavar="FILE", help="rows of earlier pieces, and of this")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--faults", "short") == "full":
        return
    left_out = [item for item in items if item.get_closest_marker(FULL_ONLY.name)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def form(pytestconfig: pytest.Config) -> Form:
    """How long the faults last."""
    return FULL if pytestconfig.getoption("--faults", "short") == "full" else SHORT


@pytest.fixture(scope="session")
def backends() -> Iterator[Backends]:
    """Servers of the fault tests' own: other tests flush and seal theirs."""
    with Backends.running() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(
    tmp_path_factory: pytest.TempPathFactory, backends: Backends, form: Form, pytestconfig: pytest.Config
) -> AsyncIterator[Site]:
    """The fleet, its orgs and its provider."""
    async with Site.open(tmp_path_factory.mktemp("faults"), backends) as opened:
        yield opened
        rows = opened.rows
        if kept := pytestconfig.getoption("--faults-rows", ""):
            rows = page.merged(page.read_rows(Path(kept)), rows)
            page.write_rows(Path(kept), rows)
        if target := pytestconfig.getoption("--faults-page", ""):
            page.write(Path(target), rows, form.name)
        opened.check_logs()
