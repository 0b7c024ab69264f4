"""Nothing in the tree tells where it was made: no path or registry of a machine, no credential."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import PurePosixPath

import pytest

from tests.tidy.tree import ROOT, listing, texts, tracked

_HOME = re.compile(r"(?<![\w.}])/(?:home|root|Users|work)/[\w.-]|[A-Z]:\\Users\\")
_REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|proxy\.golang\.org|sum\.golang\.org|"
    r"deb\.debian\.org|archive\.ubuntu\.com|(?:artifactory|nexus|devpi|goproxy|verdaccio)[\w.-]*\.\w{2,})",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"sk-(?:ant-(?:api|oat)\d\d-|proj-|svcacct-)[A-Za-z0-9_-]{40,}|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|"
    r"\b(?:AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{36})\b"
)
_BANNED_LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"}
_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)(?:\[[a-z0-9, -]+\])?==(?P<version>[^\s;]+)(?: ; [^\\]+)? \\$")
LOCKS = sorted(path for path in tracked() if re.fullmatch(r"requirements/\w+\.txt", path))


def _matches(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number} {match[0][:40]}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_no_file_names_a_path_of_a_machine() -> None:
    faults = _matches(_HOME) + _matches(re.compile(re.escape(f"{ROOT}/")))
    assert not faults, listing(
        faults, "Write these paths relative to the repository, or as /var, /etc or /tmp."
    )


def test_no_file_names_a_package_registry() -> None:
    faults = _matches(_REGISTRY)
    assert not faults, listing(faults, "Leave the registry to the configuration of whoever installs.")


def test_no_file_names_the_package_mirror_of_this_machine() -> None:
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    hosts = set(re.findall(r"//(?:[^/@\s]*@)?([\w.-]+)", configured)) - {"localhost"}
    faults = [fault for host in hosts for fault in _matches(re.compile(re.escape(host)))]
    assert not faults, listing(faults, "Leave the mirror to the configuration of whoever installs.")


def test_no_file_holds_a_credential() -> None:
    faults = _matches(_KEY)
    assert not faults, listing(faults, "Revoke it, then make one up that is visibly made up.")


def test_no_lock_file_that_records_registry_addresses_is_tracked() -> None:
    faults = [path for path in tracked() if PurePosixPath(path).name in _BANNED_LOCKS]
    assert not faults, listing(faults, "Lock by `make lock`, which writes requirements/*.txt.")


def test_no_package_lock_records_where_a_package_came_from() -> None:
    faults = [
        path
        for path, text in texts().items()
        if PurePosixPath(path).name == "package-lock.json" and '"resolved"' in text
    ]
    assert not faults, listing(faults, "Write it again with `npm install --omit-lockfile-registry-resolved`.")


@pytest.mark.parametrize("path", LOCKS)
def test_every_locked_requirement_is_one_version_with_its_hashes(path: str) -> None:
    faults = []
    entries = re.split(r"\n(?=\S)", texts()[path])
    for entry in entries:
        first = entry.splitlines()[0]
        if first.startswith("#"):
            continue
        if not _PIN.match(first) or "--hash=sha256:" not in entry:
            faults.append(first)
    assert len(entries) > 1
    assert not faults, listing(faults, f"Lock {path} again by `make lock`.")


@pytest.mark.parametrize("path", sorted(path for path in tracked() if path.startswith("requirements/")))
def test_requirements_name_no_index_and_no_address(path: str) -> None:
    faults = re.findall(
        r"^\s*(?:-i|-f|--index\S*|--extra-index\S*|--find-links|--trusted-host).*|^.*://.*",
        texts()[path],
        re.MULTILINE,
    )
    assert not faults, listing(faults, "The lock must work with any mirror.")


def _names(path: str) -> set[str]:
    lines = texts()[path].splitlines()
    return {match[0] for line in lines if (match := re.match(r"[a-z0-9][a-z0-9-]*", line.lower()))}


@pytest.mark.parametrize("path", LOCKS)
def test_every_wanted_package_is_locked(path: str) -> None:
    wanted = _names(path.replace(".txt", ".in"))
    assert wanted
    assert wanted <= _names(path), f"Run `make lock`: {sorted(wanted - _names(path))} are not in {path}."


def test_what_the_project_declares_is_what_the_runtime_lock_wants() -> None:
    declared = tomllib.loads(texts()["pyproject.toml"])["project"]["dependencies"]
    names = {re.split(r"[\[><=]", requirement)[0] for requirement in declared}
    assert names == _names("requirements/runtime.in")


@pytest.mark.parametrize(
    ("pattern", "seen"),
    [
        (_HOME, ["/" + "home/ann/x", "see /" + "Users/ann", "=/" + "work/x", "C:" + r"\Users\ann"]),
        (
            _REGISTRY,
            ["https://" + "pypi" + ".org/simple", "files." + "pythonhosted" + ".org", "nexus" + ".corp.io"],
        ),
        (
            _KEY,
            ["sk-" + "proj-" + "a" * 48, "sk-" + "ant-api03-" + "b" * 60, "-----BEGIN " + "PRIVATE KEY-----"],
        ),
    ],
)
def test_each_pattern_sees_what_it_is_for(pattern: re.Pattern[str], seen: list[str]) -> None:
    assert all(pattern.search(text) for text in seen)


@pytest.mark.parametrize(
    "text", ["/run9/ai/", "artwork/x", "homework/x", "sk-canary-4f1d9a", "sk-proj-abc", "PyPI"]
)
def test_no_pattern_sees_an_ordinary_word(text: str) -> None:
    assert not any(pattern.search(text) for pattern in (_HOME, _REGISTRY, _KEY))
