"""The gateway itself: `aigw up`, so control plane and admin listener idle in the measured process as well.

Once as it is, once with its relay compiled (tools/accelerate.py), which the container image has.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.processes import Program
from bench.subjects.subject import Running, Subject, Surroundings
from tools.accelerate import PROJECT, accelerate
from tools.accelerate import missing as missing_for_compiling

AIGW: Final = Path(sys.executable).with_name("aigw")
COMPILED: Final = PROJECT / ".tools" / "accelerated"
_COMPILED_VARIABLES: Final = (f"PYTHONPATH={COMPILED}",)
SETTINGS: Final = (
    "AIGW_ACCESS_LOG=off",  # as with nginx
    "AIGW_USAGE_TAP=false",  # nginx reads no answers; the row `usage-tap` tells what that costs on top
    # One box opens more streams here than a real one may.
    "AIGW_MAX_CONNECTIONS_PER_BOX=8192",
    "AIGW_MAX_REQUESTS_PER_BOX=8192",
    "AIGW_MAX_REQUESTS_PER_ORG=8192",
)


def _start(around: Surroundings) -> AbstractContextManager[Running]:
    return _serve(around, SETTINGS)


def _start_compiled(around: Surroundings) -> AbstractContextManager[Running]:
    return _serve(around, (*SETTINGS, *_COMPILED_VARIABLES))


@contextmanager
def _serve(around: Surroundings, variables: Iterable[str]) -> Iterator[Running]:
    ready_file = around.folder / "ready.json"
    settings = [*variables]
    if around.ca_file is not None:
        settings.append(f"AIGW_UPSTREAM_CA_FILE={around.ca_file}")
    command = ["env", *settings, str(AIGW), "up", "--port-base", "0"]
    command += ["--data-dir", str(around.folder / "data"), "--ready-file", str(ready_file)]
    command += ["--openai-endpoint", around.endpoint, "--openai-key-file", str(around.key_file)]
    with Program("aigw up", command, core=around.core, log=around.folder / "log") as program:
        port = program.wait_for("ready file", lambda: _box_port(ready_file))
        yield Running(port=port, pid=program.pid)


def _box_port(ready_file: Path) -> int | None:
    if not ready_file.exists():
        return None
    base_url: str = json.loads(ready_file.read_text())["base_urls"]["openai"]
    return urlsplit(base_url).port


def _missing() -> str | None:
    if not AIGW.exists():
        return f"{AIGW} is not there: install the project into this virtual environment"
    asked = subprocess.run([str(AIGW), "up", "--help"], capture_output=True, check=False)
    return None if asked.returncode == 0 else "`aigw up` does not run"


def _version() -> str:
    told = subprocess.run([str(AIGW), "version"], capture_output=True, text=True, check=False)
    return f"gateway {told.stdout.strip()}"


def _missing_compiled() -> str | None:
    """Compile, where that can be done: every start finds it then."""
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
    _version,
    in_quick=False,
    variables=_COMPILED_VARIABLES,
)
