"""What a laboratory of guests needs of a machine, and what happens to a test where something is missing."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.servers.tools import find_program, missing


def need_a_laboratory() -> None:
    """Skip a test where no guest can be made; under CI=true, fail it."""
    if os.geteuid() != 0:
        missing("root", "run the tests as root: network namespaces need it")
    for program in ("ip", "qemu-system-x86_64"):
        if find_program(program, beside=[Path("/usr/sbin")]) is None:
            missing(program)
