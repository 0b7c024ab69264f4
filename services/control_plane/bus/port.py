"""The write side of the event bus."""

from __future__ import annotations

from typing import Protocol


class BusError(Exception):
    """The bus did not take an event; a second attempt is allowed."""


class BusAhead(BusError):  # noqa: N818  # a finding about the database, not a failure of the bus
    """The bus holds a change unknown to the database: the database has lost commits.

    Attributes:
        epoch, revision: the position of the change.
        contradicts: whether the database has another change there; else the database has not reached the
            position.
    """

    def __init__(self, epoch: str, revision: int, *, contradicts: bool) -> None:
        super().__init__(f"the bus holds a change at revision {revision} that the database does not know")
        self.epoch = epoch
        self.revision = revision
        self.contradicts = contradicts


class Bus(Protocol):
    """An ordered stream of events."""

    async def require_usable(self) -> None:
        """Refuse an answering server unfit for this bus; called at start.

        Raises:
            UnusableRedis: see there.
        """
        ...

    async def publish(self, revision: int, event: bytes) -> None:
        """Append `event` under the explicit id of `revision`; an entry already present is no error.

        Raises:
            BusAhead: another change of the same epoch stands at this position.
            BusError: the bus is unreachable or refused; whether the event was stored is unknown.
        """
        ...

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """Tell every reader the end of the stream at `revision`: all up to there was published.

        Raises:
            BusAhead: the stream has a later change of the epoch; nothing was told.
            BusError: the bus is unreachable or refused.
        """
        ...

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:
        """Note beside the copy of the snapshot that it is current; False for a copy of another revision.

        True for a bus without copies.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """Lay a copy of the snapshot beside the stream, for readers started while the control plane is away.

        Raises:
            BusError: the bus is unreachable or refused.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
