"""Threads of one purpose: what blocks in others' threads does not hold up what runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


class WorkerThreads:
    """`count` threads. Callers wait in order; their number is bounded by the listener's connections."""

    def __init__(self, name: str, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    def run(self, function: Callable[..., Result], *arguments: object) -> asyncio.Future[Result]:
        """Call `function` in one of the threads; await the result."""
        call = partial(function, *arguments)
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Let the threads go; calls under way are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
