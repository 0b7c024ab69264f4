"""Finished exchanges for an OpenTelemetry collector: a span with GenAI names, and a log record, of each.

The log record has the fields of the access log, and the span a choice of them: names and numbers only. No
header, query or byte of a body is in either, but for the labels that the access log has as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as version_of
from random import SystemRandom
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.account.access_log import format_line
from services.data_plane.account.trace_context import parse_trace_parent
from shared.otlp.encoding import LogRecord, Resource, Span, encode_logs, encode_spans
from shared.otlp.exporter import OtlpExporter
from shared.providers import PROVIDERS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from services.data_plane.account.record import ExchangeRecord
    from shared.otlp.encoding import Value
    from shared.otlp.exporter import Encode

_OPERATIONS: Final = {
    "chat/completions": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "complete": "text_completion",
    "embeddings": "embeddings",
}
"""Values of `gen_ai.operation.name` by the route's label; the label names any other."""
_GOOD_OUTCOMES: Final = frozenset({"answered", "spliced"})
_FIRST_ERROR_STATUS: Final = 400
_TRACE_ID_BITS: Final = 128
_SPAN_ID_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Traced:
    """A record with the ids of its span; `span_id` is empty where the exchange has no span."""

    record: ExchangeRecord
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""


class Telemetry:
    """Gives each finished exchange to the exporters.

    Args:
        traces, logs: the exporters; None for a signal that is not sent.
        trace_ratio: the share of traces begun here that have a span. A trace that its client has begun has a
            span exactly if the client records it.
        random_bits: gives that many random bits, as `random.getrandbits`.
    """

    def __init__(
        self,
        traces: OtlpExporter[Traced] | None,
        logs: OtlpExporter[Traced] | None,
        *,
        trace_ratio: float,
        random_bits: Callable[[int], int],
    ) -> None:
        self.traces = traces
        self.logs = logs
        self._below = trace_ratio * 2.0**_SPAN_ID_BITS
        self._random_bits = random_bits

    @property
    def exporters(self) -> dict[str, OtlpExporter[Traced]]:
        """The exporters by their signal."""
        both = {"traces": self.traces, "logs": self.logs}
        return {signal: exporter for signal, exporter in both.items() if exporter is not None}

    def add(self, record: ExchangeRecord) -> None:
        """Take a finished record. Does not wait."""
        traced = self._traced(record)
        if self.traces is not None and traced.span_id:
            self.traces.add(traced)
        if self.logs is not None:
            self.logs.add(traced)

    def _traced(self, record: ExchangeRecord) -> Traced:
        parent = parse_trace_parent(record.trace_parent) if record.trace_parent else None
        if self.traces is None:
            return Traced(record) if parent is None else Traced(record, parent.trace_id, parent.span_id)
        if parent is not None:
            if not parent.is_sampled:
                return Traced(record)
            return Traced(record, parent.trace_id, self._id(_SPAN_ID_BITS), parent.span_id)
        trace_id = self._id(_TRACE_ID_BITS)
        if int(trace_id[-_SPAN_ID_BITS // 4 :], 16) >= self._below:
            return Traced(record)
        return Traced(record, trace_id, self._id(_SPAN_ID_BITS))

    def _id(self, bits: int) -> str:
        return f"{self._random_bits(bits) or 1:0{bits // 4}x}"


def telemetry_to(
    endpoint: str,
    signals: Sequence[str],
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext,
    trace_ratio: float,
) -> Telemetry:
    """Build the way to a collector: an exporter for each of the `signals`."""
    resource = Resource("aigw-data-plane", version_of("run9-ai-gateway"), token_hex(16))

    def exporter(signal: str, encode: Encode[Traced]) -> OtlpExporter[Traced] | None:
        if signal not in signals:
            return None
        return OtlpExporter(f"{endpoint}/v1/{signal}", encode, headers=headers, tls=tls)

    return Telemetry(
        exporter("traces", partial(_encode_traces, resource)),
        exporter("logs", partial(_encode_logs, resource)),
        trace_ratio=trace_ratio,
        random_bits=SystemRandom().getrandbits,
    )


def _encode_traces(resource: Resource, items: Sequence[Traced]) -> bytes:
    return encode_spans(resource, [span_of(item) for item in items])


def _encode_logs(resource: Resource, items: Sequence[Traced]) -> bytes:
    return encode_logs(resource, [log_record_of(item) for item in items])


def span_of(traced: Traced) -> Span:
    """Write the span of an exchange, with the names of OpenTelemetry's GenAI conventions."""
    record, fields = traced.record, _fields(traced.record)
    fault = fault_of(record)
    operation = _OPERATIONS.get(record.route, record.route)
    row = next((row for name, row in PROVIDERS.items() if name == record.provider), None)
    wanted: dict[str, Value | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": (row.telemetry_name if row else "") or record.provider,
        "gen_ai.response.model": record.model,
        "gen_ai.usage.input_tokens": fields["input_tokens"],
        "gen_ai.usage.output_tokens": fields["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": fields["cached_input_tokens"],
        "gen_ai.usage.cache_creation.input_tokens": fields["cache_write_tokens"],
        "gen_ai.conversation.id": fields["session"],
        "gen_ai.agent.id": fields["agent"],
        "http.request.method": record.method,
        "http.response.status_code": record.status or None,
        "error.type": fault,
        **{f"aigw.{name}": fields[name] for name in ("org", "box", "route", "outcome", "code", "request_id")},
        "aigw.reused": record.reused,
        "aigw.bytes_up": record.bytes_up,
        "aigw.bytes_down": record.bytes_down,
    }
    marks = (("sent", record.seconds_to_send), ("response head", record.seconds_to_head))
    return Span(
        trace_id=traced.trace_id,
        span_id=traced.span_id,
        parent_id=traced.parent_id,
        name=" ".join(word for word in (operation, record.model) if word) or "request",
        start=record.started_at,
        end=record.started_at + record.seconds,
        attributes={name: value for name, value in wanted.items() if value is not None and value != ""},
        events=[(name, record.started_at + after) for name, after in marks if after is not None],
        fault=fault,
    )


def log_record_of(traced: Traced) -> LogRecord:
    """Write the log record of an exchange: the fields of the access log."""
    record, fields = traced.record, _fields(traced.record)
    fault = fault_of(record)
    outcome = f"{record.outcome} {record.status}" if record.status else record.outcome
    where = "/".join(part for part in (record.provider, record.route) if part)
    return LogRecord(
        at=record.started_at + record.seconds,
        event="aigw.exchange",
        body=f"{record.method} {where}: {outcome}" + (f" {record.code}" if record.code else ""),
        attributes={
            f"aigw.{name}": value
            for name, value in fields.items()
            if name not in {"time", "event"} and value is not None and value != ""
        },
        severity="INFO" if fault is None and not record.leaked_key else "WARN",
        trace_id=traced.trace_id,
        span_id=traced.span_id,
    )


def fault_of(record: ExchangeRecord) -> str | None:
    """Name the failure of an exchange: the gateway's code, the way of ending, or the provider's status."""
    if record.code:
        return record.code
    if record.outcome not in _GOOD_OUTCOMES:
        return record.outcome
    return str(record.status) if record.status >= _FIRST_ERROR_STATUS else None


def _fields(record: ExchangeRecord) -> dict[str, Any]:
    """Give the fields of the access log's line, so that both always say the same."""
    fields: dict[str, Any] = json.loads(format_line(record))
    return fields
