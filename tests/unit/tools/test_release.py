"""A release: its version everywhere the same, its files whole, and a wheel starting by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.gateway import clean_environment
from tools import release
from tools.release import ReleaseError, places_of_version, require_agreement, require_date, statement

VERSION = "0.1.0"


def test_every_place_of_the_version_names_the_present_one() -> None:
    require_agreement(VERSION, places_of_version(release.PROJECT))


@pytest.mark.parametrize("path", places_of_version(release.PROJECT))
def test_a_place_that_names_another_version_is_told(tmp_path: Path, path: str) -> None:
    for name in places_of_version(release.PROJECT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release.PROJECT / name, tmp_path / name)
    changed = (tmp_path / path).read_text().replace(VERSION, "0.2.0")
    (tmp_path / path).write_text(changed)
    with pytest.raises(ReleaseError, match=rf"pyproject.toml says {VERSION}, but {path} says 0.2.0$"):
        require_agreement(VERSION, places_of_version(tmp_path))


def test_a_version_without_a_date_in_the_changelog_is_no_release() -> None:
    require_date(VERSION, f"# Changelog\n\n## [{VERSION}] - 2026-12-01\n")
    with pytest.raises(ReleaseError, match=r"give 0\.1\.0 its date"):
        require_date(VERSION, f"# Changelog\n\n## [{VERSION}] - unreleased\n")


def test_the_provenance_names_every_file_the_commit_and_the_locks(tmp_path: Path) -> None:
    made = tmp_path / "made.whl"
    made.write_bytes(b"content")
    said = statement([made], VERSION, "c0ffee", "1")
    assert said["subject"] == [{"name": "made.whl", "digest": {"sha256": release.digest(made)}}]
    sources = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert sources[0] == {"name": "source", "digest": {"gitCommit": "c0ffee"}}
    assert [one["name"] for one in sources[1:]] == list(release.LOCKS)
    json.dumps(said)


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ReleaseError, match="is not empty"):
        release.release(tmp_path, draft=True)


def test_a_wheel_is_the_same_twice_and_starts_where_nothing_else_of_this_checkout_is(tmp_path: Path) -> None:
    wheels = []
    for name in ("one", "two"):
        command = [
            "env",
            "SOURCE_DATE_EPOCH=1700000000",
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "wheel",
        ]
        done = subprocess.run(
            [*command, "-d", str(tmp_path / name)],
            cwd=release.PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        wheels += list((tmp_path / name).iterdir())
    assert release.digest(wheels[0]) == release.digest(wheels[1])
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(installed)
    first = f"import sys; sys.path.insert(0, {str(installed)!r}); "
    program = f"{first}from aigw.__main__ import main; main()"
    options = ["up", "--help"]
    for words in (["version"], options, ["openapi"]):
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(),
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
    where = f"{first}import services.control_plane as found; print(found.__path__)"
    seen = subprocess.run(
        [sys.executable, "-I", "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert str(installed) in seen
