"""Where the released clients are that these tests run: Node's in `node_modules`, Python's in `.tools`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.servers.tools import BUILT_TOOLS, find_program, missing

HERE: Final = Path(__file__).resolve().parent
PROGRAMS: Final = HERE / "programs"
_NODE_MODULES: Final = HERE / "node_modules"
_FRAMEWORKS: Final = BUILT_TOOLS / "clients-python" / "bin"


def node_program(name: str) -> list[str]:
    """Give the command of a program of `programs/` that Node runs."""
    node = find_program("node") or missing("Node", "install Node 20 or later")
    if not (_NODE_MODULES / "openai").is_dir():
        missing("a set of Node clients")
    return [str(node), str(PROGRAMS / name)]


def node_client(name: str) -> str:
    """Give a command line client that npm installed, e.g. `claude`."""
    # Never one from the PATH: what it does is told for the version in the lock file.
    path = _NODE_MODULES / ".bin" / name
    return str(path) if path.exists() else missing(name)


def framework_command(name: str) -> str:
    """Give a command of the environment that has the Python frameworks, e.g. `python` or `llm`."""
    path = _FRAMEWORKS / name
    return str(path) if path.exists() else missing("a set of Python frameworks")


def program(name: str) -> str:
    """Give the path of a program of `programs/`."""
    return str(PROGRAMS / name)
