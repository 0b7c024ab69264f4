"""Gets the newest of every client from its registry, measures each, prints all differences from the record.

    python -m tests.clients.matrix.newest [--only TITLE]

Everything goes to `.tools/clients-newest`; the pinned clients, their lock files and the record stay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.clients.matrix.catalogue import clients_of
from tests.clients.matrix.installation import CLIENTS, Installation
from tests.clients.matrix.measure import RECORD, measure
from tests.support.servers.tools import BUILT_TOOLS

FOLDER: Final = BUILT_TOOLS / "clients-newest"
INSTALL_SECONDS: Final = 900
_NOT_COMPARED: Final = {"seconds", "said"}
"""Seconds are the machine's, and a client's last words may hold a time or an id."""


def install(folder: Path) -> Installation:
    """Install the newest of every client into `folder`."""
    at = Installation(
        node=folder / "node",
        agents=folder / "agents",
        frameworks=folder / "frameworks" / "bin" / "python",
        sdks=folder / "sdks" / "bin" / "python",
        go=folder / "go",
        rust=folder / "rust",
        java=folder / "java",
    )
    _node(CLIENTS, at.node)
    _node(CLIENTS / "agents", at.agents)
    shutil.copytree(CLIENTS / "programs", at.node / "programs", dirs_exist_ok=True)
    shutil.copy(CLIENTS / "agents" / "agent_sdk.mjs", at.agents)
    wanted = (CLIENTS / "python" / "requirements.in").read_text().splitlines()
    _python(at.frameworks, [line for line in wanted if line and not line.startswith("#")])
    _python(at.sdks, ["openai[realtime]", "anthropic", "google-genai"])
    _go(at.go)
    _rust(at.rust)
    _java(at.java)
    return at


def _node(pinned: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    package = json.loads((pinned / "package.json").read_text())
    package["dependencies"] = dict.fromkeys(package["dependencies"], "latest")
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").unlink(missing_ok=True)
    _done(["npm", "install", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"], folder)


def _python(python: Path, packages: list[str]) -> None:
    folder = python.parent.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    _done([sys.executable, "-m", "venv", str(folder)], folder.parent)
    _done([str(python), "-m", "pip", "install", "-q", "-U", "--disable-pip-version-check", *packages], folder)


def _go(folder: Path) -> None:
    shutil.copytree(CLIENTS / "go", folder, dirs_exist_ok=True)
    modules = re.findall(r"^\t(github\.com/\S+) v\S+$", (folder / "go.mod").read_text(), re.MULTILINE)
    _done(["go", "get", *(f"{module}@latest" for module in modules)], folder)
    _done(["go", "mod", "tidy"], folder)
    _done(["go", "build", "-o", "clients", "."], folder)


def _rust(folder: Path) -> None:
    shutil.copytree(CLIENTS / "rust", folder, dirs_exist_ok=True)
    _done(["cargo", "add", "-q", "async-openai", "--features", "file,responses"], folder)
    _done(["cargo", "update", "-q"], folder)
    _done(["cargo", "build", "-q", "--release"], folder)
    built = folder / "target" / "release" / "async-openai-calls"
    if built.exists():
        shutil.copy(built, folder)


def _java(folder: Path) -> None:
    shutil.copytree(CLIENTS / "java", folder, dirs_exist_ok=True)
    pom = folder / "pom.xml"
    pom.write_text(
        re.sub(
            r"<version>\d\S+</version>(\s*</dependency>)", r"<version>RELEASE</version>\1", pom.read_text()
        )
    )
    shutil.rmtree(folder / "libs", ignore_errors=True)
    goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
    _done(["mvn", "-B", "-q", "-U", goal, "-DoutputDirectory=libs"], folder)
    _done(["javac", "-d", ".", "-cp", "libs/*", "Calls.java"], folder)


def _done(command: list[str], folder: Path) -> None:
    """Run an installer. A failure is printed, and the other clients are measured all the same."""
    done = subprocess.run(  # the project's own list of installers
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode:
        sys.stdout.write(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-500:]}\n")


def differences(recorded: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    """Name the differences from the record: versions, and each case's facts."""
    found = []
    for name, row in measured.items():
        old = recorded.get(name)
        if old is None:
            found.append(f"{name} {row['version']}: not in the record")
            continue
        if old["version"] != row["version"]:
            found.append(f"{name}: version {old['version']} → {row['version']}")
        for case in sorted(old["cells"].keys() | row["cells"].keys()):
            before, after = old["cells"].get(case, {}), row["cells"].get(case, {})
            found += [
                f"{name}, {case}: {fact} {before.get(fact)} → {after.get(fact)}"
                for fact in sorted((before.keys() | after.keys()) - _NOT_COMPARED)
                if before.get(fact) != after.get(fact)
            ]
    return found


def main() -> None:
    """Install, measure, and print the differences."""
    parser = argparse.ArgumentParser(description="Measure the newest clients beside the record.")
    parser.add_argument("--only", default="", help="a part of the client's name in the record")
    options = parser.parse_args()
    clients = [one for one in clients_of(install(FOLDER)) if options.only in one.key]
    measured: dict[str, Any] = {}
    asyncio.run(measure(clients, measured.update))
    found = differences(json.loads(RECORD.read_text()), measured)
    sys.stdout.write("\n".join(found or ["nothing differs from the record"]) + "\n")


if __name__ == "__main__":
    main()
