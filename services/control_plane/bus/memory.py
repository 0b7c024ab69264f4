"""The in-process bus, for a control plane and a data plane in one process."""

from __future__ import annotations

from shared.memory_stream import MemoryStream


class MemoryBus:
    """A `Bus` over a `MemoryStream` that the data plane reads."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    async def require_usable(self) -> None:
        """Nothing can be wrong with memory."""

    async def publish(self, revision: int, event: bytes) -> None:
        """See `Bus`. The stream refuses a repeat by itself."""
        self._stream.append(revision, event)

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """Nothing: who reads this stream is in this process, and it loses nothing."""

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:  # noqa: ARG002  # the port's
        """Say yes, so that none is made."""
        return True

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """Nothing: it would end with this process."""

    async def aclose(self) -> None:
        """Nothing is held."""
