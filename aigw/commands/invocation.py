"""How the command line was called: the words for calling the program again, and the unknown variables."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.settings_base import GatewaySettings


def as_called() -> str:
    """Give the shell words that start this program again, wherever the program is installed."""
    program = Path(sys.argv[0])
    return shlex.quote(str(program)) if program.name == "aigw" else f"{shlex.quote(sys.executable)} -m aigw"


def warn_of_unknown_names(own: type[GatewaySettings] | None = None) -> None:
    """Warn of every unknown `AIGW_*` variable, with the setting probably meant.

    Where the settings of this process, `own`, know every name, those of the other planes are not loaded.
    """
    from shared.settings_base import unknown_names  # noqa: PLC0415  # settings load pydantic

    if own is not None and not unknown_names([own]):
        return
    from aigw.config_show import SETTINGS  # noqa: PLC0415  # the settings of every plane, 8 MiB

    for sentence in unknown_names(SETTINGS.values()):
        sys.stderr.write(f"aigw: {sentence}\n")
