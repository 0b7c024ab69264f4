"""The JSON form of OTLP: spans and log records as an OpenTelemetry collector reads these over HTTP.

Source: opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding": ids are hexadecimal, 64-bit integers are
texts, names are in lowerCamelCase, enumerations are numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Value = str | bool | int | float
JSON_TYPE: Final = "application/json"
MAX_TEXT_CHARS: Final = 4_096
"""Of an attribute's text; a longer text is cut."""
SCOPE: Final = "run9-ai-gateway"

_CLIENT_KIND: Final = 3
_ERROR_STATUS: Final = 2
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Resource:
    """The sending process.

    Attributes:
        service: the name of its service, e.g. `aigw-data-plane`.
        version: of the gateway.
        instance: an id of the process, new at every start.
    """

    service: str
    version: str
    instance: str


@dataclass(frozen=True, slots=True)
class Span:
    """A finished call of a provider. Times are Unix seconds; ids are hexadecimal.

    Attributes:
        parent_id: the caller's span; empty for the first span of a trace.
        events: names with their times.
        fault: the reason of a failed call; None for a call that went well.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: float
    end: float
    attributes: Mapping[str, Value]
    events: Sequence[tuple[str, float]] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """An event for a log. `at` is in Unix seconds; the ids of a span are empty where there is none."""

    at: float
    event: str
    body: str
    attributes: Mapping[str, Value]
    severity: Literal["INFO", "WARN"] = "INFO"
    trace_id: str = ""
    span_id: str = ""


_SEVERITIES: Final = {"INFO": 9, "WARN": 13}


def encode_spans(resource: Resource, spans: Sequence[Span]) -> bytes:
    """Write the body of a request to `/v1/traces`."""
    scope = {"scope": _scope(resource), "spans": [_span(span) for span in spans]}
    return _encode({"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [scope]}]})


def encode_logs(resource: Resource, records: Sequence[LogRecord]) -> bytes:
    """Write the body of a request to `/v1/logs`."""
    scope = {"scope": _scope(resource), "logRecords": [_log_record(record) for record in records]}
    return _encode({"resourceLogs": [{"resource": _resource(resource), "scopeLogs": [scope]}]})


def _span(span: Span) -> dict[str, object]:
    written: dict[str, object] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _CLIENT_KIND,
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(span.end),
        "attributes": _attributes(span.attributes),
        "events": [{"name": name, "timeUnixNano": _nanoseconds(at)} for name, at in span.events],
    }
    if span.parent_id:
        written["parentSpanId"] = span.parent_id
    if span.fault is not None:
        written["status"] = {"code": _ERROR_STATUS, "message": span.fault}
    return written


def _log_record(record: LogRecord) -> dict[str, object]:
    at = _nanoseconds(record.at)
    written: dict[str, object] = {
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": _SEVERITIES[record.severity],
        "severityText": record.severity,
        "eventName": record.event,
        "body": {"stringValue": record.body},
        "attributes": _attributes(record.attributes),
    }
    if record.trace_id:
        written |= {"traceId": record.trace_id, "spanId": record.span_id}
    return written


def _resource(resource: Resource) -> dict[str, object]:
    named: dict[str, Value] = {
        "service.name": resource.service,
        "service.version": resource.version,
        "service.instance.id": resource.instance,
    }
    return {"attributes": _attributes(named)}


def _scope(resource: Resource) -> dict[str, str]:
    return {"name": SCOPE, "version": resource.version}


def _attributes(values: Mapping[str, Value]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value[:MAX_TEXT_CHARS]}


def _nanoseconds(seconds: float) -> str:
    return str(round(seconds * 1_000_000) * (_NANOSECONDS // 1_000_000))


def _encode(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
