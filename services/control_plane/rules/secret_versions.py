"""Which stored versions of a secret nobody needs any more. Pure.

A version above the pinned one was left by a write that never committed; one below it was replaced. Both are
kept for a while: the first may belong to a write under way, the second to a process that has not heard yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_PIN_SECONDS: Final = 600.0
"""A write that takes longer than this from its secret to its commit is given up."""
ORPHAN_SECONDS: Final = 3_600.0
"""How old an unpinned newer version must be; well above `MAX_PIN_SECONDS`, since clocks differ."""
SUPERSEDED_SECONDS: Final = 48 * 3_600.0
"""How long a replaced version is kept: above the age of any configuration that is still served."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What a row says of its secret.

    Attributes:
        version: the version in use, or the last one that was; 0 when there never was one.
        since: when it was pinned, Unix seconds; None for a cleared integration, which pins nothing.
    """

    version: int = 0
    since: float | None = None


def superfluous(pin: Pin, stored: Mapping[int, float], now: float) -> frozenset[int]:
    """Name the versions to destroy; `stored` tells when each was made, all in Unix seconds."""
    return frozenset(version for version, made in stored.items() if _is_superfluous(pin, version, made, now))


def _is_superfluous(pin: Pin, version: int, made: float, now: float) -> bool:
    if pin.since is None or version > pin.version:
        return now - made > ORPHAN_SECONDS
    return version < pin.version and now - pin.since > SUPERSEDED_SECONDS
