"""The needs of a laboratory of guests, and the fate of a test on a machine without them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.servers.tools import find_program, missing


def need_a_laboratory() -> None:
    """Skip a test where no guest can be made; under CI=true, fail the test."""
    if os.geteuid() != 0:
        missing("root", "run the tests as root: network namespaces need it")
    for program in ("ip", "qemu-system-x86_64"):
        if find_program(program, beside=[Path("/usr/sbin")]) is None:
            missing(program)
