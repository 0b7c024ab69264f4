"""Sends one signal to an OpenTelemetry collector, in batches, from a task of its own.

Adding is cheap and never waits. The queue is bounded: items beyond the bound are given up and counted, and so
is a batch that the collector does not take after some attempts. Nothing else depends on the collector.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import httpx

from shared.backoff import Backoff
from shared.otlp.encoding import JSON_TYPE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 1.0
MAX_BATCH_ITEMS: Final = 512
MAX_PENDING_ITEMS: Final = 20_000
MAX_ATTEMPTS: Final = 6
BACKOFF: Final = Backoff(first_seconds=1.0, last_seconds=16.0)
REQUEST_SECONDS: Final = 10.0
LAST_SECONDS: Final = 3.0
"""How long a stop waits for the last batches."""
MAX_ANSWER_BYTES: Final = 64 * 1024
# OTLP/HTTP, "Failures": these may be sent again, every other status means a batch that is never taken.
_RETRYABLE: Final = frozenset({429, 502, 503, 504})

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


class Encode(Protocol[Item_contra]):
    """Writes a batch."""

    def __call__(self, items: Sequence[Item_contra], /) -> bytes:
        """Give the body of a request."""
        ...


class OtlpExporter(Generic[Item]):
    """Runs until cancelled; the last batches are sent then. `add` may be called from any thread.

    Attributes:
        taken: items that the collector has taken.
        dropped: items given up: the queue was full, or the collector did not take the items.

    Args:
        url: of the signal, e.g. `https://collector:4318/v1/logs`.
        encode: writes a batch; called in a thread.
        headers: for the collector.
        tls: verifies the collector.
    """

    def __init__(
        self,
        url: str,
        encode: Encode[Item],
        *,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
        flush_seconds: float = FLUSH_SECONDS,
        max_pending_items: int = MAX_PENDING_ITEMS,
        backoff: Backoff = BACKOFF,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._encode = encode
        self._flush_seconds = flush_seconds
        self._max_pending_items = max_pending_items
        self._backoff = backoff
        self._pending: deque[Item] = deque()
        self._failing = False
        self.taken = self.dropped = 0
        self._client: Callable[[], httpx.AsyncClient] = lambda: httpx.AsyncClient(
            headers={**headers, "content-type": JSON_TYPE},
            timeout=REQUEST_SECONDS,
            verify=True if tls is None else tls,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )

    def add(self, item: Item) -> None:
        """Take an item that does not change any more."""
        if len(self._pending) < self._max_pending_items:
            self._pending.append(item)
        else:
            self.dropped += 1

    async def run(self) -> None:
        """Send for ever."""
        async with self._client() as client:
            try:
                while True:
                    await asyncio.sleep(self._flush_seconds)
                    await self._send_pending(client)
            finally:
                await self._send_the_last(client)

    async def _send_the_last(self, client: httpx.AsyncClient) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._send_pending(client)
        except TimeoutError:
            logger.warning("the collector at %s did not take the last telemetry in time", self._url)

    async def _send_pending(self, client: httpx.AsyncClient) -> None:
        while batch := self._next_batch():
            try:
                body = await asyncio.to_thread(self._encode, batch)
            except Exception:
                # The task's boundary: one record that cannot be written must not end the export.
                logger.exception("a batch of telemetry cannot be written")
                self.dropped += len(batch)
                continue
            taken = await self._deliver(client, body, len(batch))
            self.taken += taken
            self.dropped += len(batch) - taken

    def _next_batch(self) -> list[Item]:
        return [self._pending.popleft() for _ in range(min(len(self._pending), MAX_BATCH_ITEMS))]

    async def _deliver(self, client: httpx.AsyncClient, body: bytes, items: int) -> int:
        """Send a batch, again after a failure that may pass; give how many items were taken."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                async with client.stream("POST", self._url, content=body) as answer:
                    said = await _beginning(answer)
            except httpx.HTTPError as error:
                reason, may_pass = type(error).__name__, True
            else:
                if answer.is_success:
                    self._failing = False
                    return items - _rejected(said, items)
                reason, may_pass = f"status {answer.status_code}", answer.status_code in _RETRYABLE
            self._warn_once(reason)
            if not may_pass:
                break
            if attempt < MAX_ATTEMPTS:
                await asyncio.sleep(self._backoff.pause_seconds(attempt))
        return 0

    def _warn_once(self, reason: str) -> None:
        if not self._failing:
            logger.warning("the collector at %s takes no telemetry: %s", self._url, reason)
        self._failing = True


async def _beginning(answer: httpx.Response) -> bytes:
    """Read an answer, up to the bound; what follows says nothing of interest."""
    said = bytearray()
    async for piece in answer.aiter_bytes():
        said += piece
        if len(said) > MAX_ANSWER_BYTES:
            break
    return bytes(said)


def _rejected(said: bytes, items: int) -> int:
    """Read how many items of a batch the collector did not take (OTLP/HTTP, "Partial Success")."""
    try:
        partial = httpx.Response(200, content=said).json()["partialSuccess"]
        count = int(partial.get("rejectedSpans") or partial.get("rejectedLogRecords") or 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0
    return min(max(count, 0), items)
