"""Reports to the control plane how far this process is: soon after a change, and every few seconds otherwise.

Nothing waits for a report: a failed report is only made again. Requests are served the same without reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Protocol

import httpx

from services.data_plane.table.fleet_client import fleet_client
from shared.acknowledgement import (
    MAX_PENDING,
    REPORT_SECONDS,
    Acknowledgement,
    Pending,
    Seen,
    encode_acknowledgement,
    fitted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.data_plane.table.config_table import ConfigTable
    from shared.clock import Clock
    from shared.secret import Secret

PATH: Final = "/internal/v1/acknowledgements"
SPACING_SECONDS: Final = 0.05
"""Changes within this time after a report share the next report."""
REQUEST_SECONDS: Final = 5.0
LAST_REPORT_SECONDS: Final = 2.0
"""A process that ends waits this long for its last report."""

logger = logging.getLogger(__name__)


class Verdicts(Protocol):
    """The findings of real traffic about keys; remembered by `account/key_verdicts.py`."""

    def news(self) -> tuple[Seen, ...]:
        """Give the untold verdicts."""
        ...

    def told(self, seen: Sequence[Seen]) -> None:
        """Note the arrival of these verdicts."""
        ...


class Acknowledger:
    """Runs until cancelled. `ready` tells whether boxes are sent here, `clock` gives Unix seconds.

    The table's changes arrive by themselves, a change of `ready` by a call of `report_change`. Without any
    change, a report goes out every `report_seconds`.
    """

    def __init__(
        self,
        base_url: str,
        token: Secret,
        table: ConfigTable,
        verdicts: Verdicts,
        *,
        ready: Callable[[], bool],
        clock: Clock,
        report_seconds: float = REPORT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = base_url.rstrip("/") + PATH
        self._table = table
        self._verdicts = verdicts
        self._ready = ready
        self._clock = clock
        self._report_seconds = report_seconds
        self._process = secrets.token_hex(16)
        self._seat = ""
        self._ended = False
        self._one_at_a_time = asyncio.Lock()
        self._state: object = None
        self._since = 0.0
        self._changed = asyncio.Event()
        table.watch(self.report_change)
        self._failing = False
        timeout = httpx.Timeout(REQUEST_SECONDS)
        self._client = fleet_client(base_url, token, timeout=timeout, transport=transport)

    def take_seat(self, seat: str) -> None:
        """Name the process's seat in every report from now on."""
        self._seat = seat

    def report_change(self) -> None:
        """Look for changes, and note their time."""
        table = self._table
        state = (table.position, table.wanted_count, len(table.unusable), self._ready())
        if state != self._state:
            self._state, self._since = state, self._clock()
            self._changed.set()

    async def run(self) -> None:
        """Report for ever."""
        self.report_change()
        try:
            while True:
                self._changed.clear()
                arrived = await self.report()
                await self._wait(until_change=arrived)
        finally:
            await self._client.aclose()

    async def report(self) -> bool:
        """Make a report; False for a report without arrival."""
        async with self._one_at_a_time:
            return await self._report()

    async def report_end(self) -> None:
        """Make the last report: the process serves no box any more, and leaves the control plane's list.

        The report under way goes first, or it would undo the last report. Without arrival in time the control
        plane calls the process silent, as it calls a process that was cut off.
        """
        self._ended = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_REPORT_SECONDS):
                await self.report()

    async def _report(self) -> bool:
        report = fitted(self._now(self._verdicts.news()))
        try:
            answer = await self._client.post(self._url, content=encode_acknowledgement(report))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            if not self._failing:
                logger.warning("the control plane takes no reports: %s", type(error).__name__)
            self._failing = True
            return False
        self._failing = False
        self._verdicts.told(report.seen)
        return True

    async def _wait(self, *, until_change: bool) -> None:
        """Wait for the next report; not for a change while reports fail."""
        await asyncio.sleep(SPACING_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._report_seconds):
                if until_change:
                    await self._changed.wait()
                else:
                    await asyncio.sleep(self._report_seconds)

    def _now(self, seen: tuple[Seen, ...]) -> Acknowledgement:
        position = self._table.position
        keys = islice(dict.fromkeys(chain(self._table.unusable, self._table.wanted())), MAX_PENDING + 1)
        pending = tuple(Pending(org, provider) for org, provider in keys)
        return Acknowledgement(
            process=self._process,
            epoch=position.epoch if position else "",
            applied_revision=position.revision if position else 0,
            applied_at=self._since,
            ready=self._ready(),
            pending=pending[:MAX_PENDING],
            is_all_pending=len(pending) <= MAX_PENDING,
            seen=seen,
            seat=self._seat,
            ended=self._ended,
        )
