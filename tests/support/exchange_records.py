"""Records of exchanges as tests want them."""

from __future__ import annotations

from typing import Any

from services.data_plane.account.record import ExchangeRecord


def exchange_record(started_at: float = 0.0, **said: Any) -> ExchangeRecord:
    """Make a record with these fields, and otherwise those of a new record."""
    record = ExchangeRecord(started_at)
    for name, value in said.items():
        assert name in ExchangeRecord.__annotations__, name
        setattr(record, name, value)
    return record
