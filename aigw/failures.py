"""Failures for a person at the command line to mend, and the texts of all other known failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from shared.listener import ListenError
from shared.redis_link import UnusableRedis
from shared.settings_base import PREFIX, SettingFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_USAGE: Final = 2
"""The exit code of every expected failure, as for a wrong option."""

EXIT_INTERRUPTED: Final = 130
"""The exit code of a program ended at once by Ctrl-C: 128 + SIGINT, as shells count."""


class UserError(Exception):
    """Something the user can change; the message names the fault and the remedy, in one line."""


EXPECTED: Final = (UserError, ListenError, SettingFileError, UnusableRedis, ValidationError)


def lines_of(error: BaseException) -> Iterable[str]:
    """Explain an expected failure, a line per cause; never with the refused value."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [
        _setting_line(fault["loc"], fault["msg"], missing=fault["type"] == "missing")
        for fault in error.errors(include_input=False)
    ]


def _setting_line(location: tuple[int | str, ...], message: str, *, missing: bool) -> str:
    reason = message.removeprefix("Value error, ")
    if not location:
        return f"The settings do not fit together: {reason}."
    name = f"{PREFIX}{str(location[0]).upper()}"
    if missing:
        return f"{name}: it is not set, and must be: set it, or {name}_FILE to a file that holds it."
    return f"{name}: {reason}. See `aigw config show`."
