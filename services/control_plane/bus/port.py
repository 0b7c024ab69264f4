"""The write side of the event bus."""

from __future__ import annotations

from typing import Protocol


class BusError(Exception):
    """The bus did not take an event; it may be offered again."""


class BusAhead(BusError):  # noqa: N818  # a finding about the database, not a failure of the bus
    """The bus holds a change that the database does not know: the database has lost commits.

    Attributes:
        epoch, revision: where that change stands.
        contradicts: whether the database has another change there; else it has none yet.
    """

    def __init__(self, epoch: str, revision: int, *, contradicts: bool) -> None:
        super().__init__(f"the bus holds a change at revision {revision} that the database does not know")
        self.epoch = epoch
        self.revision = revision
        self.contradicts = contradicts


class Bus(Protocol):
    """One ordered stream of events."""

    async def require_usable(self) -> None:
        """Refuse a server that answers and that this bus cannot work with; called at start.

        Raises:
            UnusableRedis: see there.
        """
        ...

    async def publish(self, revision: int, event: bytes) -> None:
        """Append `event` under the explicit id of `revision`; one that is there already is no error.

        Raises:
            BusAhead: a change of the same epoch stands there that is not this one.
            BusError: the bus is unreachable or refused; whether it has the event is unknown.
        """
        ...

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """Tell every reader that the stream ends at `revision`: all up to there was published.

        Raises:
            BusAhead: the stream has a later change of the epoch; nothing was told.
            BusError: the bus is unreachable or refused.
        """
        ...

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:
        """Note beside the copy of the snapshot that it is of now; False when it is of another revision.

        True for a bus that keeps none.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """Lay a copy of the snapshot beside the stream, for readers that start while nobody else answers.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
