"""The data folder keeps its values, keeps them private, and serves a single process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw.embedded.data_dir import DataDir, write_private
from aigw.failures import UserError


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_secret_is_made_once_random_and_private(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path / "new" / "data")
    first = data.secret("token", "sk-")
    assert first.reveal().startswith("sk-")
    assert len(first.reveal()) > 40
    assert data.secret("token", "sk-") == first
    assert data.secret("other") != first
    assert mode(data.root) == 0o700
    assert {mode(path) for path in data.root.iterdir()} == {0o600}
    data.close()


def test_a_second_process_is_told_what_to_do(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path)
    with pytest.raises(UserError, match=r"Another aigw up uses .* --data-dir"):
        DataDir.open(tmp_path)
    data.close()
    DataDir.open(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--data-dir"):
        DataDir.open(tmp_path / "file" / "data")


def test_a_private_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("new", 0o600, [path])
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path, b"a folder cannot be replaced by a file")
    assert list(tmp_path.iterdir()) == [path]
