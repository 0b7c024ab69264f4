"""The loop of recurring work in the background: round after round in a thread, whatever a round meets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.control_plane.store.outage import DatabaseUnavailable

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable


async def repeat(
    work: Callable[[], object], pause: Callable[[], Awaitable[object]], fault: str, log: logging.Logger
) -> None:
    """Do `work` until cancelled; failures do not end the loop.

    Args:
        work: a round; runs in a thread.
        pause: waits for the next round.
        fault: the words for a failed round, such as `stored secrets cannot be tidied now`.
        log: the caller's. An unreachable database is a line, any other failure has its traceback.
    """
    while True:
        try:
            await asyncio.to_thread(work)
        except DatabaseUnavailable as error:
            log.warning("%s, trying again: %s", fault, error)
        except Exception:  # the task's boundary: the next round tries again
            log.exception("%s, trying again", fault)
        await pause()
