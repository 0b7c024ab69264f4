"""Spans and log records of exchanges: GenAI names, the client's trace, and nothing beyond the access log."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from services.data_plane.account.access_log import format_line
from services.data_plane.account.record import ExchangeRecord
from services.data_plane.account.telemetry import (
    Telemetry,
    Traced,
    fault_of,
    log_record_of,
    span_of,
    telemetry_to,
)
from services.data_plane.core.attribution import Attribution
from services.data_plane.core.usage.tokens import Usage
from shared.otlp.exporter import OtlpExporter
from tests.support.exchange_records import exchange_record

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORD = exchange_record(
    1_793_700_900.0,
    org="acme",
    box="box-1",
    provider="openai",
    method="POST",
    route="chat/completions",
    status=200,
    outcome="answered",
    seconds_to_send=0.001,
    seconds_to_head=0.25,
    seconds=1.5,
    request_id="req_1",
    usage=Usage(70, 20, 10, 50, 30),
    model="gpt-x",
    attribution=Attribution("session-1", "agent-1", "", "main"),
)


def exporter() -> OtlpExporter[Traced]:
    return OtlpExporter("https://c/v1/x", lambda _: b"", headers={})


def telemetry(
    ratio: float = 1.0, bits: Callable[[int], int] = lambda bits: 2**bits - 1, *, traces: bool = True
) -> Telemetry:
    return Telemetry(exporter() if traces else None, exporter(), trace_ratio=ratio, random_bits=bits)


def waiting(of: OtlpExporter[Traced] | None) -> list[Traced]:
    assert of is not None
    return list(of._pending)  # what would be sent


def test_a_span_has_the_names_of_the_genai_conventions() -> None:
    span = span_of(Traced(RECORD, TRACE, SPAN, ""))
    assert (span.name, span.fault) == ("chat gpt-x", None)
    assert (span.start, span.end) == (1_793_700_900.0, 1_793_700_901.5)
    assert span.events == [("sent", 1_793_700_900.001), ("response head", 1_793_700_900.25)]
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-x",
        "gen_ai.usage.input_tokens": 70,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.conversation.id": "session-1",
        "gen_ai.agent.id": "agent-1",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "aigw.org": "acme",
        "aigw.box": "box-1",
        "aigw.route": "chat/completions",
        "aigw.outcome": "answered",
        "aigw.request_id": "req_1",
        "aigw.reused": False,
        "aigw.bytes_up": 0,
        "aigw.bytes_down": 0,
    }


def test_a_providers_own_name_in_the_conventions_is_used() -> None:
    span = span_of(Traced(exchange_record(provider="gemini", route="models"), TRACE, SPAN))
    assert span.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert span.attributes["gen_ai.operation.name"] == "models"


def test_unknown_tokens_are_left_out() -> None:
    span = span_of(Traced(exchange_record(provider="openai", status=200, outcome="answered"), TRACE, SPAN))
    assert not [name for name in span.attributes if name.startswith("gen_ai.usage")]


def test_a_log_record_has_the_fields_of_the_access_log() -> None:
    record = log_record_of(Traced(RECORD, TRACE, SPAN))
    line = json.loads(format_line(RECORD))
    expected = {f"aigw.{name}": value for name, value in line.items() if value not in (None, "")}
    del expected["aigw.time"], expected["aigw.event"]
    assert record.attributes == expected
    assert record.body == "POST openai/chat/completions: answered 200"
    assert (record.severity, record.trace_id, record.span_id) == ("INFO", TRACE, SPAN)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"status": 200, "outcome": "answered"}, None),
        ({"status": 101, "outcome": "spliced"}, None),
        ({"status": 429, "outcome": "answered"}, "429"),
        ({"status": 200, "outcome": "cut"}, "cut"),
        ({"status": 0, "outcome": "client_gone"}, "client_gone"),
        ({"status": 502, "code": "upstream_unreachable", "outcome": "rejected"}, "upstream_unreachable"),
    ],
)
def test_a_failure_is_named(said: dict[str, Any], fault: str | None) -> None:
    record = exchange_record(**said)
    assert fault_of(record) == fault
    assert log_record_of(Traced(record)).severity == ("INFO" if fault is None else "WARN")


def test_a_placeholder_that_looks_like_a_real_key_is_a_warning() -> None:
    record = exchange_record(status=200, outcome="answered", leaked_key=True)
    assert log_record_of(Traced(record)).severity == "WARN"


def with_parent(flags: str) -> ExchangeRecord:
    return exchange_record(trace_parent=f"00-{TRACE}-{SPAN}-{flags}".encode())


def test_the_clients_trace_is_continued() -> None:
    books = telemetry(ratio=0.0)
    books.add(with_parent("01"))
    (traced,) = waiting(books.traces)
    assert (traced.trace_id, traced.parent_id, traced.span_id) == (TRACE, SPAN, "f" * 16)
    assert waiting(books.logs) == [traced]


def test_a_trace_that_the_client_does_not_record_has_no_span() -> None:
    books = telemetry()
    books.add(with_parent("00"))
    assert waiting(books.traces) == []
    assert [one.trace_id for one in waiting(books.logs)] == [""]


@pytest.mark.parametrize(("ratio", "spans"), [(0.0, 0), (0.5, 0), (1.0, 1)])
def test_a_share_of_the_other_requests_has_a_span_and_each_has_a_log_record(ratio: float, spans: int) -> None:
    books = telemetry(ratio, lambda bits: 2**bits - 2**60)
    books.add(RECORD)
    assert len(waiting(books.traces)) == spans
    assert len(waiting(books.logs)) == 1


def test_ids_are_never_zero() -> None:
    books = telemetry(bits=lambda _: 0)
    books.add(RECORD)
    (traced,) = waiting(books.traces)
    assert (traced.trace_id, traced.span_id) == (f"{1:032x}", f"{1:016x}")


def test_logs_alone_still_name_the_clients_span() -> None:
    books = telemetry(traces=False)
    books.add(with_parent("01"))
    assert [(one.trace_id, one.span_id) for one in waiting(books.logs)] == [(TRACE, SPAN)]


def test_each_wanted_signal_has_an_exporter() -> None:
    for signals in (("traces",), ("logs",), ("traces", "logs"), ()):
        made = telemetry_to(
            "https://c", signals, headers={}, tls=ssl.create_default_context(), trace_ratio=1.0
        )
        assert tuple(made.exporters) == signals
