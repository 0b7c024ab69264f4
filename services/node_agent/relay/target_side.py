"""The data plane's end of a spliced connection: counted for its target until the connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.node_agent.relay.side import Side

if TYPE_CHECKING:
    from services.node_agent.relay.side import Owner
    from services.node_agent.relay.targets import KnownTarget


class TargetSide(Side):
    """The data plane's end."""

    __slots__ = ("_known", "is_gone")

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._known: KnownTarget | None = None
        self.is_gone = False

    def belongs_to(self, known: KnownTarget) -> None:
        """Count the end of this connection for its target."""
        self._known = known

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember the loss if the box is not joined yet."""
        self.is_gone = True
        super().connection_lost(exc)

    def leave(self) -> None:
        """Give the target's count back, once."""
        known, self._known = self._known, None
        if known is not None:
            known.connections -= 1

    def give_up(self) -> None:
        """End a connection no longer needed by any box."""
        if hasattr(self, "transport"):
            self.transport.abort()
        self.leave()
