"""A count of steps, for example of listeners still to accept before a process reports itself as serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Countdown:
    """Calls `done` at the last of `steps` steps."""

    def __init__(self, steps: int, done: Callable[[], None]) -> None:
        self._left = steps
        self._done = done

    def step(self) -> None:
        """Count a step."""
        self._left -= 1
        if self._left == 0:
            self._done()
