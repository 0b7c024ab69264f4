"""One call per exchange reaches every book."""

from __future__ import annotations

import io

from services.data_plane.account.access_log import AccessLog
from services.data_plane.account.books import Books
from services.data_plane.account.last_errors import LastErrors
from services.data_plane.account.metrics import Metrics
from services.data_plane.account.record import ExchangeRecord

FAILED = ExchangeRecord(org="acme", provider="openai", status=500, outcome="answered")


def test_one_exchange_reaches_metrics_errors_and_log() -> None:
    metrics, errors, log = Metrics(), LastErrors(), AccessLog(io.StringIO())
    Books(metrics, errors, log).finished(FAILED)
    assert b'status="500"' in metrics.exposition()
    assert errors.of("acme", "openai") is not None
    assert log._pending == [FAILED]


def test_without_an_access_log_the_rest_is_still_booked() -> None:
    metrics = Metrics()
    Books(metrics, LastErrors(), None).finished(FAILED)
    assert b'status="500"' in metrics.exposition()
