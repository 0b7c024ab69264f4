"""A commit is heard, whenever the commit comes."""

from __future__ import annotations

import asyncio
import threading

from services.control_plane.store.commit_signal import CommitSignal

NEVER_SECONDS = 3600
DEADLINE_SECONDS = 20


async def test_a_commit_before_the_first_wait_is_heard() -> None:
    signal = CommitSignal()
    signal.announce()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await signal.wait(NEVER_SECONDS)


async def test_a_commit_between_two_waits_is_heard() -> None:
    signal = CommitSignal()
    await signal.wait(0)
    thread = threading.Thread(target=signal.announce)
    thread.start()
    await asyncio.to_thread(thread.join)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await signal.wait(NEVER_SECONDS)
