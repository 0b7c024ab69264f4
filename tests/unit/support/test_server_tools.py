"""Finding the programs of real servers, and the outcome of a test whose server is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers.tools import find_program, missing


def program(folder: Path, name: str, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_program_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = program(tmp_path / "path", "server-b")
    beside = program(tmp_path / "beside", "server-a")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_program("server-a", "server-b", beside=[beside.parent]) == on_path
    monkeypatch.setenv("PATH", "")
    assert find_program("server-a", "server-b", beside=[beside.parent]) == beside
    assert find_program("server-b", beside=[beside.parent]) is None


def test_what_is_missing_is_one_line_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception) as skipped:
        missing("Vault")
    assert str(skipped.value) == "Vault is not installed; run: make test-tools"


def test_under_ci_what_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make test-tools"):
        missing("Vault")
