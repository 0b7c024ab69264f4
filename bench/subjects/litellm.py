"""LiteLLM's proxy as run for speed: a single worker, a single model, no database, log or retries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.peers import INSTALLED
from bench.processes import Program, free_port
from bench.subjects.subject import Running, Subject, Surroundings
from bench.workload import ANY_LENGTH_PATH, CHAT_PATH, MODEL

_VENV: Final = INSTALLED / "litellm"
_MASTER_KEY: Final = "sk-bench-boxes-0123456789abcdef0123456789abcdef0123456789abcdef"
"""Made up; LiteLLM does not start without a key of this strength."""
_VARIABLES: Final = (
    "LITELLM_MODE=PRODUCTION",
    "LITELLM_LOG=ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP=True",  # nothing is fetched from the network
    "LITELLM_TELEMETRY=False",
    "NO_DOCS=True",
)


@contextmanager
def _start(around: Surroundings) -> Iterator[Running]:
    port = free_port()
    config = around.folder / "config.json"  # JSON is YAML
    config.write_text(json.dumps(_config(around)))
    config.chmod(0o600)
    command = ["env", *_VARIABLES, str(_VENV / "bin" / "litellm"), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    with Program("LiteLLM", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield Running(
            port=port,
            pid=program.pid,
            key=_MASTER_KEY,
            path=CHAT_PATH,
            headers=(("Accept-Encoding", "identity"),),  # it would compress, and the words could not be seen
            rewrites=True,
        )


def _config(around: Surroundings) -> dict[str, object]:
    reached = {
        "model": f"openai/{MODEL}",
        "api_base": f"{around.endpoint}{ANY_LENGTH_PATH}",
        "api_key": around.key(),
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": reached}],
        "router_settings": {"num_retries": 0},
        "litellm_settings": {"set_verbose": False, "json_logs": False, "telemetry": False},
        "general_settings": {
            "master_key": _MASTER_KEY,
            "disable_spend_logs": True,
            "disable_error_logs": True,
        },
    }


def missing(venv: Path = _VENV) -> str | None:
    """Give why LiteLLM cannot run here, or None; the installer writes `installed-from` when all is there."""
    return None if (venv / "installed-from").exists() else "not installed: `make bench-peers` gets it"


def _version() -> str:
    asked = "import importlib.metadata as m; print(m.version('litellm'))"
    command = [str(_VENV / "bin" / "python"), "-c", asked]
    return f"litellm {subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()}"


LITELLM: Final = Subject(
    "litellm",
    "LiteLLM",
    missing,
    _start,
    _version,
    does_tls=False,
    in_quick=False,
    only=frozenset({"json"}),
    least_times_ours=400,
)
