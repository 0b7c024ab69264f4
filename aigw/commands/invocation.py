"""How the command line was called: the words for calling the program again, and the unknown variables."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def as_called() -> str:
    """Give the shell words that start this program again, wherever the program is installed."""
    program = Path(sys.argv[0])
    return shlex.quote(str(program)) if program.name == "aigw" else f"{shlex.quote(sys.executable)} -m aigw"


def warn_of_unknown_names() -> None:
    """Warn of every unknown `AIGW_*` variable, with the setting probably meant."""
    from aigw.config_show import SETTINGS  # noqa: PLC0415  # the settings of both planes load pydantic
    from shared.settings_base import unknown_names  # noqa: PLC0415  # same

    for sentence in unknown_names(SETTINGS.values()):
        sys.stderr.write(f"aigw: {sentence}\n")
