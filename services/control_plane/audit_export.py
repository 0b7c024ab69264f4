"""The audit's new rows for an OpenTelemetry collector, as log records, from the process that commits them.

A row leaves after its commit. The database stays the truth: rows that the collector does not take are counted
as dropped, and can be read by the REST interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from services.control_plane.store.tables import AuditTable
from shared.otlp.encoding import LogRecord, Resource, Value, encode_logs


def audit_encoder(resource: Resource) -> Callable[[Sequence[AuditTable]], bytes]:
    """Give the encoder of the exporter."""
    return partial(_encode, resource)


def _encode(resource: Resource, rows: Sequence[AuditTable]) -> bytes:
    return encode_logs(resource, [log_record_of(row) for row in rows])


def log_record_of(row: AuditTable) -> LogRecord:
    """Write a row of the audit as a log record; its details are the JSON text of the row."""
    wanted: dict[str, Value | None] = {
        "aigw.audit.id": row.id,
        "aigw.org": row.org,
        "aigw.audit.actor": row.actor,
        "aigw.audit.action": row.action,
        "aigw.audit.target": row.target,
        "aigw.audit.revision": row.revision,
        "aigw.audit.details": row.details,
    }
    return LogRecord(
        at=row.at,
        event="aigw.audit",
        body=f"{row.actor} {row.action} {row.target}",
        attributes={name: value for name, value in wanted.items() if value is not None},
    )
