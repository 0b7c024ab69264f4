"""How every long-running `aigw` command runs: limits, uvloop, logging to stderr, a clean stop by signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from aigw.failures import EXIT_INTERRUPTED
from shared.process_limits import forbid_core_dumps, raise_descriptor_limit

GC_YOUNG_OBJECTS: Final = 50_000
"""New objects between two young collections."""
_QUIET_LOGGERS: Final = ("httpx", "httpcore", "alembic", "asyncio")

Main = Callable[[asyncio.Event], Awaitable[None]]


def run_until_signalled(main: Main) -> None:
    """Run `main(stop)` to its end; SIGINT, SIGTERM and SIGHUP set `stop`, a second ends the process at once.

    A successful `main` ends the process: this function then does not return.
    """
    log_to_stderr()
    raise_descriptor_limit()
    forbid_core_dumps()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_with_signals(main))
        _leave()


def _leave() -> None:
    """End the process, now that `main` has closed every part, without a wait for threads.

    The interpreter, the loop and libuv each join their threads at the end. A thread in `getaddrinfo` cannot
    be stopped: a silent name server holds the process beyond the grace of an orchestrator.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def settle_memory() -> None:
    """Keep the garbage collector off permanent objects. Called once everything is built.

    Modules and tables are hundreds of thousands of objects to be walked by each full collection, and the
    relay makes no cycles: 8 % of its CPU was collection.
    """
    gc.collect()
    settle_tables()
    gc.set_threshold(GC_YOUNG_OBJECTS, 20, 100)


def settle_tables() -> None:
    """Keep the collector off the objects made since.

    No last walk is made: with a full table a walk takes 0.2 s.
    """
    gc.freeze()


async def _with_signals(main: Main) -> None:
    stop = asyncio.Event()
    loop, numbers = asyncio.get_running_loop(), [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup lets a process outlive its terminal
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, _on_signal, stop)
    try:
        await main(stop)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(EXIT_INTERRUPTED)  # the user asked twice: whatever still drains is not waited for
    sys.stderr.write("Stopping …\n")
    stop.set()


def log_to_stderr() -> None:
    """Send log records of this process to stderr, libraries' chatter left out."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Uvicorn warns of every upgrade that it does not serve; a client that tries one falls back by itself.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
