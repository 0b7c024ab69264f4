"""The write side of the event bus."""

from __future__ import annotations

from typing import Protocol


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
