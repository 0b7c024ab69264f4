"""The relay's `Account`: a call per exchange feeds metrics, access log, last errors, verdicts, telemetry."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from services.data_plane.account.background import BackgroundAnswers
from services.data_plane.core.attribution import UNATTRIBUTED
from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.stated import stated_by, stated_model
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage
from shared.providers import PROVIDERS

if TYPE_CHECKING:
    from services.data_plane.account.access_log import AccessLog
    from services.data_plane.account.key_verdicts import KeyVerdicts
    from services.data_plane.account.last_errors import LastErrors
    from services.data_plane.account.metrics import Metrics
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.account.telemetry import Telemetry
    from services.data_plane.core.key_scan import KeySearch
    from services.data_plane.core.usage.tap import Tapped

logger = logging.getLogger(__name__)

MAX_UNREAD: Final = 256
"""Answers whose usage is read together, at most: each keeps some KiB."""


_WHOLE_OUTCOMES: Final = frozenset({"answered", "spliced"})
_OK: Final = 200
_PLAIN_COUNTS: Final = frozenset(
    str(row.name) for row in PROVIDERS.values() if SHAPES[row.usage_shape].plain_counts
)


class Books:
    """Books finished exchanges. `access_log` is None without a log, `telemetry` without a collector."""

    def __init__(
        self,
        metrics: Metrics,
        last_errors: LastErrors,
        access_log: AccessLog | None,
        key_verdicts: KeyVerdicts | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._metrics = metrics
        self._last_errors = last_errors
        self._access_log = access_log
        self._key_verdicts = key_verdicts
        self._telemetry = telemetry
        self._names_are_read = access_log is not None or telemetry is not None
        self._background = BackgroundAnswers()
        self._unread: list[tuple[ExchangeRecord, Tapped, KeySearch | None]] = []

    def finished(
        self, record: ExchangeRecord, tapped: Tapped | None = None, key: KeySearch | None = None
    ) -> None:
        """Count a finished exchange and log its line. Does not block or raise.

        No name or label with the org's `key` is kept: a box chooses labels, and an endpoint the names.

        If the tapped text needs more than a glance, the reading happens after this turn of the event loop:
        the answer has been written by then.
        """
        if tapped is None or (isinstance(tapped, bytes) and self._is_stated(record, tapped)):
            self._book(record, key)
            return
        if not self._unread:
            asyncio.get_running_loop().call_soon(self._read)
        self._unread.append((record, tapped, key))
        if len(self._unread) >= MAX_UNREAD:
            self._read()

    def _is_stated(self, record: ExchangeRecord, answer: bytes) -> bool:
        """Note what an answer states at a glance; False where a parser must look.

        The model and the service tier have no reader but the log and the collector.
        """
        if record.outcome != "answered" or record.method == "GET" or record.provider not in _PLAIN_COUNTS:
            return False
        stated, tier = stated_by(answer)
        if not stated:
            return False
        if self._names_are_read:
            model = stated_model(answer)
            if model is None:
                return False
            record.model, record.service_tier = model, tier
        record.stated_usage = stated
        return True

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for record, tapped, key in unread:
            try:
                self._read_one(record, UsageTap(tapped) if isinstance(tapped, bytes) else tapped)
            except Exception:
                logger.exception("a usage could not be read")
                record.usage = NoUsage.UNREADABLE
            self._book(record, key)

    def _read_one(self, record: ExchangeRecord, tap: UsageTap) -> None:
        provider = next((one for name, one in PROVIDERS.items() if name == record.provider), None)
        if provider is None:
            return
        is_whole = record.outcome in _WHOLE_OUTCOMES
        reading = tap.read(SHAPES[provider.usage_shape], is_whole=is_whole)
        record.model, record.service_tier = reading.model, reading.service_tier
        if reading.background_id:
            key = (record.org, record.provider, reading.background_id)
            is_new = not isinstance(reading.usage, Usage) or self._background.count(key)
        else:
            is_new = record.method != "GET"  # what was asked for again has been counted before
        if not is_new or (
            record.method == "GET" and isinstance(reading.usage, NoUsage) and record.status == _OK
        ):
            return
        record.usage, record.usage_gap = reading.usage, reading.partly
        record.web_searches, record.web_fetches = reading.web_searches, reading.web_fetches

    def _book(self, record: ExchangeRecord, key: KeySearch | None) -> None:
        if key is not None:
            if record.model:
                record.model = key.clean_name(record.model)
            if record.service_tier:
                record.service_tier = key.clean_name(record.service_tier)
            if record.attribution is not UNATTRIBUTED:
                record.attribution = key.clean_labels(record.attribution)
        self._metrics.count(record)
        self._last_errors.note(record)
        if self._key_verdicts is not None:
            self._key_verdicts.note(record)
        if self._access_log is not None:
            self._access_log.add(record)
        if self._telemetry is not None:
            self._telemetry.add(record)
