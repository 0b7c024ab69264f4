"""The stored versions of a secret that are no longer needed. Pure.

A version above the pinned version was left by a write without a commit; a version below was replaced. Both
are kept for a while: the first may belong to a write under way, the second to a process not yet aware of the
change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_PIN_SECONDS: Final = 600.0
"""A write is given up beyond this time from its secret to its commit."""
ORPHAN_SECONDS: Final = 3_600.0
"""How old an unpinned newer version must be; well above `MAX_PIN_SECONDS`, since clocks differ."""
SUPERSEDED_SECONDS: Final = 48 * 3_600.0
"""How long a replaced version is kept: above the age of any configuration still served."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A row's statement about its secret.

    Attributes:
        version: the version in use, or the last version used; 0 without any version so far.
        since: the time of pinning, Unix seconds; None for a cleared integration, which pins nothing.
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
