"""The caps on connections of boxes, and the words for each in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from shared.cap_log import CapLog

if TYPE_CHECKING:
    from collections.abc import Callable

Cap = Literal["unidentified", "box", "org", "all"]

_WORDS: Final[Mapping[str, str]] = {
    "unidentified": "of unknown boxes",
    "box": "of one box of the org",
    "org": "of the org",
    "all": "in all",
}


def box_cap_log(monotonic: Callable[[], float]) -> CapLog:
    """Make the log of boxes' connections that a full cap closes."""
    return CapLog(monotonic, "connections of boxes", _WORDS)
