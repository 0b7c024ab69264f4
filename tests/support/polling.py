"""Waiting for something to become true, with a generous deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

DEADLINE_SECONDS: Final = 10.0
START_SECONDS: Final = 60.0
"""The deadline of starting processes, on a machine busy with much else."""
_PAUSE_SECONDS: Final = 0.02


async def eventually(
    check: Callable[[], Awaitable[bool]], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> None:
    """Ask `check` again and again until the answer is yes; fails with `what` after the deadline."""
    try:
        async with asyncio.timeout(deadline_seconds):
            while not await check():  # noqa: ASYNC110  # another process changes; nothing here is told
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_seconds} s: {what}") from None
