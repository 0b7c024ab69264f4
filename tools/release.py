"""Makes the files of a release: wheel, source archive, chart, bill of materials, provenance, checksums.

    python -m tools.release FOLDER [--draft]

Refuses a tree that differs from its commit, and a version that the places of the version do not agree on;
`--draft` passes over both, for a look at the result. CONTRIBUTING.md has the steps around it.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from tools.chart_pages import CHART

PROJECT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "run9-ai-gateway"
SBOM_PROGRAM: Final = PROJECT / ".tools/release/bin/cyclonedx-py"
LOCKS: Final = ("requirements/runtime.txt", "requirements/build.txt", "requirements/compile.txt")
BUILD_TYPE: Final = f"urn:{NAME}:make-release:1"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
USAGE: Final = "usage: python -m tools.release FOLDER [--draft]"


class ReleaseError(Exception):
    """The tree is not fit for a release; `str()` names the reason and the remedy."""


def main() -> None:
    """Make a release in the named folder."""
    match sys.argv[1:]:
        case [folder]:
            draft = False
        case [folder, "--draft"]:
            draft = True
        case _:
            sys.exit(USAGE)
    try:
        made = release(Path(folder), draft=draft)
    except ReleaseError as error:
        sys.exit(str(error))
    sys.stdout.write("".join(f"{path.name}\n" for path in made))


def release(folder: Path, *, draft: bool) -> list[Path]:
    """Make the files in a folder that is empty or not there; raises `ReleaseError`."""
    version = str(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"])
    if folder.exists() and any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty: name a new folder")
    if not draft:
        require_agreement(version, places_of_version(PROJECT))
        require_date(version, (PROJECT / "CHANGELOG.md").read_text())
        if _output("git", "status", "--porcelain"):
            raise ReleaseError("the tree differs from its commit: commit or stash first")
    folder.mkdir(parents=True, exist_ok=True)
    seconds = _output("git", "log", "-1", "--format=%ct")
    _run({"SOURCE_DATE_EPOCH": seconds}, sys.executable, "-m", "hatchling", "build", "-d", str(folder))
    _run({}, str(_helm()), "package", str(CHART), "--destination", str(folder))
    _bill_of_materials(folder / f"{NAME}-{version}.cdx.json", seconds)
    files = sorted(folder.iterdir())
    provenance = folder / f"{NAME}-{version}.provenance.json"
    commit = _output("git", "rev-parse", "HEAD")
    provenance.write_text(json.dumps(statement(files, version, commit, seconds), indent=1) + "\n")
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{digest(path)}  {path.name}\n" for path in [*files, provenance]))
    return [*files, provenance, sums]


def places_of_version(project: Path) -> dict[str, str]:
    """Give the version that each place outside pyproject.toml names."""
    patterns = {
        "CHANGELOG.md": r"^## \[([^\]]+)\]",
        "deploy/helm/ai-gateway/Chart.yaml": r"^version: (\S+)",
        "deploy/docker/Dockerfile": r'image\.version="([^"]+)"',
        "docker-compose.yml": rf"image: {NAME}:(\S+)",
    }
    found = {
        path: re.search(pattern, (project / path).read_text(), re.MULTILINE)
        for path, pattern in patterns.items()
    }
    return {path: match[1] if match else "none" for path, match in found.items()}


def require_agreement(version: str, places: dict[str, str]) -> None:
    """Raise `ReleaseError` where a place names another version than pyproject.toml."""
    others = [f"{path} says {said}" for path, said in places.items() if said != version]
    if others:
        raise ReleaseError(f"pyproject.toml says {version}, but {'; '.join(others)}")


def require_date(version: str, changelog: str) -> None:
    """Raise `ReleaseError` while the changelog has no date for the version."""
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md: give {version} its date, as in ## [{version}] - 2026-12-31")


def statement(files: list[Path], version: str, commit: str, seconds: str) -> dict[str, Any]:
    """Write the provenance: a release's files, and the commit and locks behind them (in-toto, SLSA)."""
    locks = [{"name": path, "digest": {"sha256": digest(PROJECT / path)}} for path in LOCKS]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": path.name, "digest": {"sha256": digest(path)}} for path in files],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": version, "sourceDateEpoch": seconds},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *locks,
                ],
            },
            "runDetails": {"builder": {"id": BUILD_TYPE}},
        },
    }


def digest(path: Path) -> str:
    """Give a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bill_of_materials(target: Path, seconds: str) -> None:
    if not SBOM_PROGRAM.exists():
        raise ReleaseError(f"{SBOM_PROGRAM.name} is missing: run make release, which installs its lock")
    options = ("--output-reproducible", "--of", "JSON", "--pyproject", str(PROJECT / "pyproject.toml"))
    locked = str(PROJECT / "requirements/runtime.txt")
    _run(
        {"SOURCE_DATE_EPOCH": seconds}, str(SBOM_PROGRAM), "requirements", *options, "-o", str(target), locked
    )


def _helm() -> Path:
    built = PROJECT / ".tools/helm/helm"
    return built if built.exists() else Path("helm")


def _output(*words: str) -> str:
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S603  # git
    return done.stdout.strip()


def _run(variables: dict[str, str], *words: str) -> None:
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), *words]
    done = subprocess.run(  # noqa: S603  # hatchling, helm, cyclonedx-py
        command, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ReleaseError(f"{words[0]}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
