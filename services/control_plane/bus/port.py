"""The write side of the event bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.config_feed import Snapshot


class BusError(Exception):
    """The bus did not take an event; it may be offered again."""


class Bus(Protocol):
    """One ordered stream of events."""

    async def publish(self, revision: int, event: bytes) -> None:
        """Append `event` under the explicit id of `revision`; one that is there already is no error.

        Raises:
            BusError: the bus is unreachable or refused; whether it has the event is unknown.
        """
        ...

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """Tell every reader that the stream ends at `revision`: all up to there was published.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def has_snapshot(self, epoch: str, revision: int) -> bool:
        """Whether the copy that lies beside the stream is of this revision; True for a bus that keeps none.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def keep_snapshot(self, take: Callable[[], Snapshot]) -> None:
        """Lay a copy of the snapshot beside the stream, for readers that start while nobody else answers.

        `take` reads it; it blocks, and is called in a thread, and only by a bus that keeps copies.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
