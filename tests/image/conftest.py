"""The images of these tests, built once by `tools/image/build.sh`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers.tools import REPOSITORY, find_program, missing

BUILD_SECONDS = 1_200
Build = Callable[[str], None]


@pytest.fixture(scope="session")
def build() -> Build:
    """Give a function that builds `gateway` or `stand-ins`, unless the present one is current."""
    for program in ("podman", "runc", "debootstrap"):
        if find_program(program, beside=[Path("/usr/sbin")]) is None:
            missing(program)

    def run(wanted: str) -> None:
        command = [str(REPOSITORY / "tools/image/build.sh"), wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr

    return run
