"""The relay's `Account`: one call per exchange feeds metrics, access log, last errors and key verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.data_plane.account.access_log import AccessLog
    from services.data_plane.account.key_verdicts import KeyVerdicts
    from services.data_plane.account.last_errors import LastErrors
    from services.data_plane.account.metrics import Metrics
    from services.data_plane.account.record import ExchangeRecord


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

    def finished(self, record: ExchangeRecord) -> None:
        """Count one finished exchange and log its line. Does not block or raise."""
        self._metrics.count(record)
        self._last_errors.note(record)
        if self._key_verdicts is not None:
            self._key_verdicts.note(record)
        if self._access_log is not None:
            self._access_log.add(record)
