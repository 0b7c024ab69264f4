"""Where configuration comes from, read side: snapshots over HTTP, and the bus with its in-process adapter.

Fetches and decodes; the decisions about the results are in `sync`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import httpx

from services.data_plane.table.fleet_client import fleet_client
from shared.config_feed import MAX_SNAPSHOT_BYTES, FeedError, Snapshot, decode_snapshot, snapshot_etag

if TYPE_CHECKING:
    from services.data_plane.table.position import Position
    from shared.memory_stream import MemoryStream
    from shared.secret import Secret

ADDRESS_SETTING: Final = "AIGW_CONTROL_PLANE_INTERNAL_URL"
TOKEN_SETTING: Final = "AIGW_INTERNAL_TOKEN"  # noqa: S105  # a setting's name
SNAPSHOT_PATH: Final = "/internal/v1/snapshot"
SNAPSHOT_CONNECT_SECONDS: Final = 3.0
SNAPSHOT_IDLE_SECONDS: Final = 10.0
SNAPSHOT_TOTAL_SECONDS: Final = 60.0


class SnapshotUnavailable(Exception):  # noqa: N818  # a state of the control plane, named as it is seen
    """No snapshot can be had now; `str()` says why, for the log."""


class BusUnavailable(Exception):  # noqa: N818  # a state of the bus, named as it is seen
    """The bus cannot be read now; `str()` says why, for the log."""


class SnapshotSource(Protocol):
    """The control plane, as seen by a reader."""

    async def fetch(self, known: Position | None) -> Snapshot | None:
        """Give the snapshot, or None when the truth is still at `known`; raises `SnapshotUnavailable`."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class BusRead:
    """The result of a read of the bus.

    Attributes:
        entries: (revision, event) of each entry, in order.
        beat: where the stream ends, as its writer says; None for an unheard beat, or a beat older than the
            entries.
    """

    entries: tuple[tuple[int, bytes], ...] = ()
    beat: Position | None = None


class BusReader(Protocol):
    """The event bus, read side: Redis `XREAD` semantics."""

    async def require_usable(self) -> None:
        """Refuse an answering server unfit for this reader; called at start.

        Raises `UnusableRedis`.
        """
        ...

    async def read(self, here: Position, block_seconds: float) -> BusRead:
        """Give the entries above `here`, or a beat.

        Nothing of both after `block_seconds` at most without either. Raises `BusUnavailable`.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class HttpSnapshotSource:
    """Asks the control plane's internal listener."""

    def __init__(
        self,
        base_url: str,
        token: Secret,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        max_bytes: int = MAX_SNAPSHOT_BYTES,
        total_seconds: float = SNAPSHOT_TOTAL_SECONDS,
    ) -> None:
        self._url = base_url.rstrip("/") + SNAPSHOT_PATH
        address = httpx.URL(base_url)
        self._origin = f"{address.scheme}://{address.netloc.decode()}"  # no user info: it goes to the log
        self._max_bytes = max_bytes
        self._total_seconds = total_seconds
        timeout = httpx.Timeout(SNAPSHOT_IDLE_SECONDS, connect=SNAPSHOT_CONNECT_SECONDS)
        self._client = fleet_client(base_url, token, timeout=timeout, transport=transport)

    async def fetch(self, known: Position | None) -> Snapshot | None:
        """See `SnapshotSource.fetch`."""
        headers = {} if known is None else {"If-None-Match": snapshot_etag(known.epoch, known.revision)}
        try:
            async with asyncio.timeout(self._total_seconds):
                async with self._client.stream("GET", self._url, headers=headers) as answer:
                    if answer.status_code == httpx.codes.NOT_MODIFIED and known is not None:
                        return None
                    if answer.status_code != httpx.codes.OK:
                        raise SnapshotUnavailable(f"the control plane answered {answer.status_code}")
                    body = await self._read_bounded(answer)
                # In a thread: a large snapshot takes longer to decode than a request should wait.
                return await asyncio.to_thread(decode_snapshot, body)
        except httpx.HTTPError as error:
            raise SnapshotUnavailable(
                f"the control plane cannot be reached at {self._origin} ({type(error).__name__}); "
                f"{ADDRESS_SETTING} says where it is, {TOKEN_SETTING} what it asks for"
            ) from None
        except TimeoutError:
            raise SnapshotUnavailable("the control plane did not answer in time") from None
        except FeedError as error:
            raise SnapshotUnavailable(str(error)) from None

    async def _read_bounded(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > self._max_bytes:
                raise SnapshotUnavailable(f"the snapshot is larger than {self._max_bytes} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        """See `SnapshotSource.aclose`."""
        await self._client.aclose()


class MemoryBusReader:
    """Reads the in-process stream of `aigw up`."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    async def require_usable(self) -> None:
        """Nothing can be wrong with memory."""

    async def read(self, here: Position, block_seconds: float) -> BusRead:
        """See `BusReader.read`. A quiet stream is a beat by itself: its writer is in this process."""
        entries = await self._stream.read(here.revision, block_seconds)
        return BusRead(tuple(entries), beat=None if entries else here)

    async def aclose(self) -> None:
        """Nothing is held."""


class NoBusReader:
    """Stands where no bus can be reached by design: `memory://` in a process of its own. Polling is left."""

    async def require_usable(self) -> None:
        """Nothing is used."""

    async def read(self, here: Position, block_seconds: float) -> BusRead:  # noqa: ARG002  # the port's
        """Refuse, as a bus out of order."""
        raise BusUnavailable("memory:// reaches only the process that writes it")

    async def aclose(self) -> None:
        """Nothing is held."""
