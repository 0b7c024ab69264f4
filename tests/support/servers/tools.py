"""The places of the programs of real servers, and the fate of a test whose server is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[3]
BUILT_TOOLS: Final = REPOSITORY / ".tools"


def find_program(*names: str, beside: Iterable[Path] = ()) -> Path | None:
    """Give the first of `names` on the PATH, else the first found in the folders `beside`."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return Path(found)
    for folder in beside:
        for name in names:
            if os.access(folder / name, os.X_OK):
                return folder / name
    return None


def package_folder(package: str) -> Path | None:
    """Give the folder of an installed package, without an import."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def missing(server: str, remedy: str = "run: make test-tools") -> NoReturn:
    """Skip a test for want of `server`, in a line; under CI=true, where nothing is skipped, fail."""
    sentence = f"{server} is not installed; {remedy}"
    if os.environ.get("CI") == "true":  # noqa: TID251  # what CI asks of the tests is this file's business
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
