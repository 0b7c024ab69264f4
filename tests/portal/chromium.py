"""Finds Chromium and gives its start options, with no partner on the network but the gateway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.support.servers.tools import find_program, missing

NODE_MODULES: Final = Path(__file__).with_name("node_modules")
ARGUMENTS: Final = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # its sandbox refuses to run as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]


def chromium_path() -> Path:
    """Give the browser; a test without a browser is skipped, or fails under CI=true."""
    return find_program("chromium", "chromium-browser", "google-chrome") or missing("Chromium")


def node_module(path: str) -> Path:
    """Give a file of an installed Node package, e.g. `axe-core/axe.min.js`."""
    file = NODE_MODULES / path
    return file if file.exists() else missing(path.partition("/")[0])
