"""Waiting for something to become true, with a generous deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

DEADLINE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.02


async def eventually(check: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask `check` again and again until it says yes; fails with `what` after the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await check():  # noqa: ASYNC110  # another process changes; nothing here is told
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}") from None
