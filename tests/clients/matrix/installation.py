"""The folders of a set of clients, pinned or newest, and the version of each client in them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.support.servers.tools import BUILT_TOOLS

CLIENTS: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Installation:
    """The folders of a set of clients: the pinned clients, or the newest.

    Attributes:
        node, agents: folders with `node_modules`, and programs beside it.
        frameworks, sdks: Python's interpreters with the frameworks, and with the official SDKs.
        go, rust, java: folders of the built programs, each with its list of modules.
    """

    node: Path = CLIENTS
    agents: Path = CLIENTS / "agents"
    frameworks: Path = BUILT_TOOLS / "clients-python" / "bin" / "python"
    sdks: Path = Path(sys.executable)
    go: Path = BUILT_TOOLS / "clients-go"
    rust: Path = BUILT_TOOLS / "clients-rust"
    java: Path = BUILT_TOOLS / "clients-java"

    def of_node(self, package: str) -> str:
        """Give the version of an installed Node package, or nothing."""
        for folder in (self.node, self.agents):
            file = folder / "node_modules" / package / "package.json"
            if file.exists():
                return str(json.loads(file.read_text())["version"])
        return ""

    def of_python(self, python: Path, package: str) -> str:
        """Give the version of an installed Python package, or nothing."""
        if python == Path(sys.executable):
            return version(package)
        folder, name = python.parent.parent, package.replace("-", "_")
        found = sorted(folder.glob(f"lib/python3*/site-packages/{name}-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").rpartition("-")[2] if found else ""

    def of_go(self, module: str) -> str:
        """Give the version of a Go module, or nothing before the program is built."""
        return _stated(self.go / "clients", self.go / "go.mod", rf"{module} v(\S+)")

    def of_rust(self, crate: str) -> str:
        """Give the version of a crate, or nothing before the program is built."""
        pattern = rf'name = "{crate}"\nversion = "(.+)"'
        return _stated(self.rust / f"{crate}-calls", self.rust / "Cargo.lock", pattern)

    def of_java(self, artifact: str) -> str:
        """Give the version of a Maven artifact, or nothing before the program is compiled."""
        archives = sorted((self.java / "libs").glob(f"{artifact}-[0-9]*.jar"))
        if not archives or not (self.java / "Calls.class").exists():
            return ""
        return archives[0].stem.removeprefix(f"{artifact}-")


def _stated(program: Path, file: Path, pattern: str) -> str:
    if not program.exists() or not file.exists():
        return ""
    match = re.search(pattern, file.read_text())
    return match[1] if match else ""
