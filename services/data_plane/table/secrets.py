"""Secrets, read side: the port, the local store's adapter, and the loader for few and shared reads.

Read-only by construction. A document lives in memory only, on its way into a compiled integration.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from shared.sealed_file import MAX_SEALED_BYTES, SealError, file_of, read_key, unseal
from shared.secret_document import SecretDocument, SecretDocumentError, from_json
from shared.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.providers import ProviderName

logger = logging.getLogger(__name__)

LOCAL_READ_THREADS: Final = 4
MAX_CONCURRENT_READS: Final = 16
READ_SECONDS: Final = 10.0
NEGATIVE_SECONDS: Final = 3.0
MAX_REMEMBERED_FAILURES: Final = 10_000

Wanted = tuple[str, "ProviderName", int]
"""(org, provider, version): an immutable document."""


class SecretUnavailable(Exception):  # noqa: N818  # a state of the store, named as it is seen
    """The document cannot be had now; `str()` gives the reason and shows nothing of the document."""


class SecretReader(Protocol):
    """A secret store, read side."""

    async def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        """Give the document of exactly this version; raises `SecretUnavailable` for any obstacle."""
        ...

    async def aclose(self) -> None:
        """Let go of threads and connections."""
        ...


class LocalSecretReader:
    """Reads the local encrypted store below `root`, in a few threads."""

    def __init__(self, root: Path, *, threads: int = LOCAL_READ_THREADS) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="secrets")

    async def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        """See `SecretReader.read`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, org, provider, version)

    def _read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        try:
            # The key is read each time: the control plane may create the store after this process starts.
            key = read_key(self._root)
            with file_of(self._root, org, provider, version).open("rb") as file:
                sealed = file.read(MAX_SEALED_BYTES + 1)
            return from_json(unseal(key, org, provider, version, sealed), org, provider)
        except OSError as error:
            raise SecretUnavailable(f"the sealed file cannot be read ({error.strerror})") from None
        except (SealError, SecretDocumentError) as error:
            raise SecretUnavailable(str(error)) from None

    async def aclose(self) -> None:
        """See `SecretReader.aclose`."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class SecretLoader:
    """Reads each document once for all waiting callers, a bounded number at a time.

    A failure is remembered for `negative_seconds`, so a burst of requests for a broken integration costs the
    store a single read.

    Attributes:
        reads: reads of the store so far, by result: `read` or `failed`.
    """

    def __init__(
        self,
        reader: SecretReader,
        *,
        monotonic: Callable[[], float],
        max_concurrent: int = MAX_CONCURRENT_READS,
        read_seconds: float = READ_SECONDS,
        negative_seconds: float = NEGATIVE_SECONDS,
    ) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._slots = asyncio.Semaphore(max_concurrent)
        self._read_seconds = read_seconds
        self._negative_seconds = negative_seconds
        self._flights: dict[Wanted, asyncio.Task[SecretDocument | SecretUnavailable]] = {}
        self._failures: OrderedDict[Wanted, tuple[float, SecretUnavailable]] = OrderedDict()
        self._tasks = TaskSet()
        self.reads = {"read": 0, "failed": 0}

    async def get(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        """Give the document; raises `SecretUnavailable`. A leaving caller does not stop the others."""
        wanted = (org, provider, version)
        if (failure := self._remembered_failure(wanted)) is not None:
            raise SecretUnavailable(str(failure))
        flight = self._flights.get(wanted)
        if flight is None:
            flight = self._tasks.start(self._fly(wanted), f"read secret version {version}")
            self._flights[wanted] = flight
        try:
            result = await asyncio.shield(flight)
        finally:
            # Only now, when a caller has the document in hand: a flight that were forgotten as it lands would
            # leave a moment in which another caller starts a second one. But one that everybody has left is
            # forgotten then, or it would keep the document, or tell of its failure at any later time.
            if flight.done():
                self._forget_flight(wanted, flight)
            else:
                flight.add_done_callback(partial(self._forget_flight, wanted))
        if isinstance(result, SecretUnavailable):
            raise SecretUnavailable(str(result))
        return result

    def forget_failure(self, org: str, provider: ProviderName, version: int) -> None:
        """Let the next `get` of this document ask the store again: a fact about the document has changed."""
        self._failures.pop((org, provider, version), None)

    async def aclose(self) -> None:
        """Stop every read and close the reader."""
        await self._tasks.aclose()
        await self._reader.aclose()

    def _forget_flight(
        self, wanted: Wanted, flight: asyncio.Task[SecretDocument | SecretUnavailable]
    ) -> None:
        if self._flights.get(wanted) is flight:
            del self._flights[wanted]

    def _remembered_failure(self, wanted: Wanted) -> SecretUnavailable | None:
        known = self._failures.get(wanted)
        if known is None:
            return None
        until, failure = known
        if self._monotonic() < until:
            return failure
        del self._failures[wanted]
        return None

    async def _fly(self, wanted: Wanted) -> SecretDocument | SecretUnavailable:
        try:
            # The wait in line counts too: a store that says nothing must not keep who is last for minutes.
            async with asyncio.timeout(self._read_seconds), self._slots:
                document = await self._reader.read(*wanted)
        except SecretUnavailable as error:
            return self._remember(wanted, error)
        except TimeoutError:
            return self._remember(wanted, SecretUnavailable("the secret store did not answer in time"))
        except Exception:  # a task's boundary: those who wait need an answer, and the log the cause
            logger.exception("reading a secret failed in an unforeseen way")
            return self._remember(wanted, SecretUnavailable("the secret store's adapter failed"))
        self.reads["read"] += 1
        return document

    def _remember(self, wanted: Wanted, failure: SecretUnavailable) -> SecretUnavailable:
        self.reads["failed"] += 1
        self._failures[wanted] = (self._monotonic() + self._negative_seconds, failure)
        self._failures.move_to_end(wanted)
        while len(self._failures) > MAX_REMEMBERED_FAILURES:
            self._failures.popitem(last=False)
        return failure
