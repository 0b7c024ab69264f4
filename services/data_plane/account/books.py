"""The relay's `Account`: one call per exchange feeds metrics, access log, last errors and key verdicts."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from services.data_plane.core.usage import UsageTap, stated_by

if TYPE_CHECKING:
    from services.data_plane.account.access_log import AccessLog
    from services.data_plane.account.key_verdicts import KeyVerdicts
    from services.data_plane.account.last_errors import LastErrors
    from services.data_plane.account.metrics import Metrics
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.usage import Tapped

logger = logging.getLogger(__name__)

MAX_UNREAD: Final = 256
"""Answers whose usage is read together, at most: each keeps some KiB."""


class Books:
    """Books finished exchanges. `access_log` is None where nobody wants the lines."""

    def __init__(
        self,
        metrics: Metrics,
        last_errors: LastErrors,
        access_log: AccessLog | None,
        key_verdicts: KeyVerdicts | None = None,
    ) -> None:
        self._metrics = metrics
        self._last_errors = last_errors
        self._access_log = access_log
        self._key_verdicts = key_verdicts
        self._unread: list[tuple[ExchangeRecord, Tapped]] = []

    def finished(self, record: ExchangeRecord, tapped: Tapped | None = None) -> None:
        """Count one finished exchange and log its line. Does not block or raise.

        Where what was tapped needs more than a glance, that is after this turn of the event loop: the answer
        has been written by then.
        """
        if isinstance(tapped, bytes):
            record.stated_usage = stated_by(tapped)
        if tapped is None or record.stated_usage is not None:
            self._book(record)
            return
        if not self._unread:
            asyncio.get_running_loop().call_soon(self._read)
        self._unread.append((record, tapped))
        if len(self._unread) >= MAX_UNREAD:
            self._read()

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for record, tapped in unread:
            try:
                record.usage = (UsageTap(tapped) if isinstance(tapped, bytes) else tapped).read()
            except Exception:
                logger.exception("a usage could not be read")
            self._book(record)

    def _book(self, record: ExchangeRecord) -> None:
        self._metrics.count(record)
        self._last_errors.note(record)
        if self._key_verdicts is not None:
            self._key_verdicts.note(record)
        if self._access_log is not None:
            self._access_log.add(record)
