"""The gateway: a process of its data plane, the part in the place of nginx.

Once in plain Python, once with its relay compiled (tools/accelerate.py), as in the container image.
"""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from typing import Final

from bench.subjects.data_plane import AIGW, running_data_plane
from bench.subjects.subject import Running, Subject, Surroundings
from tools.accelerate import PROJECT, accelerate
from tools.accelerate import missing as missing_for_compiling

COMPILED: Final = PROJECT / ".tools" / "accelerated"
_COMPILED_VARIABLES: Final = (f"PYTHONPATH={COMPILED}",)


def _start(around: Surroundings) -> AbstractContextManager[Running]:
    return running_data_plane(around)


def _start_compiled(around: Surroundings) -> AbstractContextManager[Running]:
    return running_data_plane(around, *_COMPILED_VARIABLES)


def _missing() -> str | None:
    if not AIGW.exists():
        return f"{AIGW} is not there: install the project into this virtual environment"
    asked = subprocess.run([str(AIGW), "data-plane", "--help"], capture_output=True, check=False)
    return None if asked.returncode == 0 else "`aigw data-plane` does not run"


def _version(*variables: str) -> str:
    """Ask the program itself, with the subject's own variables: the form named is the form measured."""
    command = ["env", *variables, str(AIGW), "version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"gateway {told.stdout.strip()}"


def _version_compiled() -> str:
    return _version(*_COMPILED_VARIABLES)


def _missing_compiled() -> str | None:
    """Compile, where that can be done: every start finds the compiled relay then."""
    lacking = _missing() or missing_for_compiling()
    if lacking is None:
        accelerate(COMPILED)
    return lacking


GATEWAY: Final = Subject("gateway", "gateway", _missing, _start, _version)
GATEWAY_COMPILED: Final = Subject(
    "gateway_compiled",
    "gateway, compiled",
    _missing_compiled,
    _start_compiled,
    _version_compiled,
    in_quick=False,
    variables=_COMPILED_VARIABLES,
)
