"""The in-process bus, for a control plane and a data plane in a single process."""

from __future__ import annotations

from shared.memory_stream import MemoryStream


class MemoryBus:
    """A `Bus` over a `MemoryStream` read by the data plane."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    async def require_usable(self) -> None:
        """Nothing can be wrong with memory."""

    async def publish(self, revision: int, event: bytes) -> None:
        """See `Bus`. The stream refuses a repeat by itself."""
        self._stream.append(revision, event)

    async def heartbeat(self, epoch: str, revision: int) -> None:
        """Nothing: every reader of this stream is in this process, and loses nothing."""

    async def confirm_snapshot(self, epoch: str, revision: int) -> bool:  # noqa: ARG002  # the port's
        """Say yes, so no copy is made."""
        return True

    async def keep_snapshot(self, epoch: str, revision: int, body: bytes) -> None:
        """Nothing: a copy would end with this process."""

    async def aclose(self) -> None:
        """Nothing is held."""
