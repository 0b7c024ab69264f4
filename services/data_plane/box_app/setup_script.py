"""The script for setting up a box: for the offered providers, with the origin used by the box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from shared.providers import LOCAL_ORIGIN, Provider, with_addresses

SCRIPT_NAME: Final = "setup.sh"
# It stands inside quotes of a shell script, so nothing else may come through.
_ORIGIN = re.compile(r"http://[A-Za-z0-9.\-\[\]:]{1,260}")
_FUNCTION: Final = re.compile(r"^(run9_\w+)\(\) \{", re.MULTILINE)
_TELL: Final = """\
  case "${NAME-}" in
    "${run9_origin}"/*) ;;
    *) printf '%s\\n' "run9: NAME was set before and stays: ${NAME-}" >&2 ;;
  esac"""


def read_script(providers: Sequence[Provider]) -> str:
    """Read the script for `providers`, written for the default origin of boxes."""
    script = (files(__package__) / SCRIPT_NAME).read_text("utf-8")
    with_files = [row for row in providers if row.set_up_shell]
    functions = [f"run9_set_up_{row.name}" for row in with_files]
    names = [name for row in with_files for name in _FUNCTION.findall(row.set_up_shell)]
    parts = {
        "@environment@": _environment(providers),
        "@set_up_functions@": "\n".join(row.set_up_shell for row in with_files),
        "@tell@": "\n".join(_TELL.replace("NAME", row.environment[0][0]) for row in providers),
        "@set_up_calls@": "".join(f" && {name}" for name in functions),
        "@undo_calls@": "\n".join(f"  run9_undo_{row.name} || return 1" for row in with_files),
        "@print_calls@": "\n".join(f"  run9_print_{row.name}" for row in with_files),
        "@set_up_names@": "".join(f" {name}" for name in names),
    }
    for mark, text in parts.items():
        script = script.replace(mark, text)
    return script


def _environment(providers: Sequence[Provider]) -> str:
    """Write the lines for setting each unset variable, and for exporting all of them."""
    lines = [
        f': "\\${{{name}:={with_addresses(value, "${run9_origin}" + row.local_path)}}}"'
        for row in providers
        for name, value in row.environment
    ]
    names = " ".join(name for row in providers for name, _ in row.environment)
    return "\n".join([*lines, f"export {names}"])


def script_for(script: str, origin: str) -> str:
    """Rewrite the script for `origin`, e.g. `http://127.0.0.1:20000`."""
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("the origin is not a plain http origin")
    return script.replace(LOCAL_ORIGIN, origin)
