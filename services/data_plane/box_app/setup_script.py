"""The script that sets a box up, with the origin under which the box reached the gateway."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from shared.providers import LOCAL_ORIGIN

SCRIPT_NAME: Final = "setup.sh"
# It stands inside quotes of a shell script, so nothing else may come through.
_ORIGIN = re.compile(r"http://[A-Za-z0-9.\-\[\]:]{1,260}")


def read_script() -> str:
    """Read the script as it is shipped, written for the origin that boxes see by default."""
    return (files(__package__) / SCRIPT_NAME).read_text("utf-8")


def script_for(script: str, origin: str) -> str:
    """Rewrite the script for `origin`, e.g. `http://127.0.0.1:20000`."""
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("the origin is not a plain http origin")
    return script.replace(LOCAL_ORIGIN, origin)
