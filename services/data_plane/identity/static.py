"""The same org for every caller: embedded use and development. The settings refuse production."""

from __future__ import annotations

import math
from typing import Final

from shared.box_token import Box

STATIC_BOX: Final = "static"


class StaticIdentity:
    """Implements the relay's `Identity` with a fixed box."""

    def __init__(self, org: str) -> None:
        self._box = Box(org=org, box=STATIC_BOX, lifecycle=STATIC_BOX, expires_at=math.inf)

    def identify(self, token: bytes | None) -> Box:  # noqa: ARG002  # a token proves nothing here
        """Give the fixed box, whatever was sent."""
        return self._box
