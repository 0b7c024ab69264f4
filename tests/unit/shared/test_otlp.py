"""Export to an OpenTelemetry collector: settings, JSON as protobuf reads this form, a bounded exporter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from shared.backoff import Backoff
from shared.otlp.encoding import MAX_TEXT_CHARS, LogRecord, Resource, Span, encode_logs, encode_spans
from shared.otlp.exporter import MAX_ATTEMPTS, MAX_BATCH_ITEMS, MAX_PENDING_ITEMS, OtlpExporter
from shared.otlp.settings import OtlpSettings
from shared.secret import Secret
from shared.settings_base import SettingFileError
from shared.tasks import TaskSet

RESOURCE = Resource("aigw-data-plane", "1.2", "ab")
AT_ONCE = Backoff(first_seconds=0.001, last_seconds=0.001)
URL = "https://collector.example/v1/logs"


def test_a_span_is_what_protobuf_calls_a_span() -> None:
    span = Span(
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id="b7ad6b7169203331",
        parent_id="00f067aa0ba902b7",
        name="chat gpt-x",
        start=1_793_700_900.123,
        end=1_793_700_901.5,
        attributes={"text": "x" * (MAX_TEXT_CHARS + 1), "count": 2**40, "share": 0.5, "yes": True},
        events=[("sent", 1_793_700_900.2)],
        fault="upstream_timeout",
    )
    request = ExportTraceServiceRequest()
    json_format.Parse(encode_spans(RESOURCE, [span]), request)
    (resource,) = request.resource_spans
    named = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert named == {"service.name": "aigw-data-plane", "service.version": "1.2", "service.instance.id": "ab"}
    (found,) = resource.scope_spans[0].spans
    assert (found.name, found.kind, found.status.code, found.status.message) == (
        "chat gpt-x",
        3,
        2,
        "upstream_timeout",
    )
    assert found.start_time_unix_nano == 1_793_700_900_123_000_000
    assert found.end_time_unix_nano == 1_793_700_901_500_000_000
    assert [event.name for event in found.events] == ["sent"]
    values = {one.key: one.value for one in found.attributes}
    assert len(values["text"].string_value) == MAX_TEXT_CHARS
    assert values["count"].int_value == 2**40
    assert (values["share"].double_value, values["yes"].bool_value) == (0.5, True)
    # The ids are the one place where OTLP's JSON differs from protobuf's: hexadecimal, not base64.
    written = json.loads(encode_spans(RESOURCE, [span]))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert written["traceId"] == span.trace_id
    assert (written["spanId"], written["parentSpanId"]) == (span.span_id, span.parent_id)


def test_a_log_record_is_what_protobuf_calls_a_log_record() -> None:
    record = LogRecord(at=5.0, event="aigw.audit", body="a b", attributes={"aigw.org": "o"}, severity="WARN")
    request = ExportLogsServiceRequest()
    json_format.Parse(encode_logs(RESOURCE, [record]), request)
    (found,) = request.resource_logs[0].scope_logs[0].log_records
    assert (found.event_name, found.body.string_value) == ("aigw.audit", "a b")
    assert (found.severity_number, found.severity_text, found.time_unix_nano) == (13, "WARN", 5 * 10**9)
    assert not found.trace_id


class Collector:
    """Answers each request with the next of some statuses, the last for ever."""

    def __init__(self, *statuses: int, said: bytes = b"{}") -> None:
        self.statuses = list(statuses)
        self.said = said
        self.bodies: list[bytes] = []
        self.headers: httpx.Headers | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        self.headers = request.headers
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status, content=self.said)


def as_lines(items: Sequence[str]) -> bytes:
    return "\n".join(items).encode()


def exporter_to(
    collector: Callable[[httpx.Request], httpx.Response], max_pending_items: int = MAX_PENDING_ITEMS
) -> OtlpExporter[str]:
    return OtlpExporter(
        URL,
        as_lines,
        headers={"authorization": "Bearer canary"},
        flush_seconds=0.001,
        backoff=AT_ONCE,
        transport=httpx.MockTransport(collector),
        max_pending_items=max_pending_items,
    )


async def until_settled(exporter: OtlpExporter[str], items: int) -> None:
    """Run the exporter until so many items were taken or dropped."""
    tasks = TaskSet()
    tasks.start(exporter.run(), "exporter")
    async with asyncio.timeout(20):
        while exporter.taken + exporter.dropped < items:  # noqa: ASYNC110  # counters have no event
            await asyncio.sleep(0.001)
    await tasks.aclose()


async def test_items_arrive_in_batches_with_the_operators_headers() -> None:
    collector = Collector(200)
    exporter = exporter_to(collector)
    items = [str(number) for number in range(MAX_BATCH_ITEMS + 1)]
    for item in items:
        exporter.add(item)
    await until_settled(exporter, len(items))
    assert b"\n".join(collector.bodies).decode().split("\n") == items
    assert len(collector.bodies) == 2
    assert collector.headers is not None
    assert collector.headers["authorization"] == "Bearer canary"
    assert collector.headers["content-type"] == "application/json"
    assert (exporter.taken, exporter.dropped) == (len(items), 0)


async def test_a_batch_is_sent_again_after_a_failure_that_may_pass() -> None:
    collector = Collector(503, 429, 200)
    exporter = exporter_to(collector)
    exporter.add("a")
    await until_settled(exporter, 1)
    assert collector.bodies == [b"a"] * 3
    assert (exporter.taken, exporter.dropped) == (1, 0)


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (401, 1), (302, 1), (503, MAX_ATTEMPTS)])
async def test_a_batch_that_is_not_taken_is_counted_and_told_once(
    status: int, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    collector = Collector(status)
    exporter = exporter_to(collector)
    exporter.add("a")
    await until_settled(exporter, 1)
    assert (len(collector.bodies), exporter.taken, exporter.dropped) == (attempts, 0, 1)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"the collector at {URL} takes no telemetry: status {status}"]
    assert "canary" not in caplog.text


async def test_an_unreachable_collector_costs_the_items_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    exporter = exporter_to(refuse)
    exporter.add("a")
    await until_settled(exporter, 1)
    assert exporter.dropped == 1
    assert "ConnectError" in caplog.text


async def test_the_queue_is_bounded_and_its_overflow_counted() -> None:
    collector = Collector(200)
    exporter = exporter_to(collector, max_pending_items=3)
    for number in range(5):
        exporter.add(str(number))
    assert exporter.dropped == 2
    await until_settled(exporter, 5)
    assert collector.bodies == [b"0\n1\n2"]


async def test_items_of_the_last_moment_are_still_sent() -> None:
    collector = Collector(200)
    exporter = OtlpExporter(
        URL, as_lines, headers={}, flush_seconds=3600, transport=httpx.MockTransport(collector)
    )
    tasks = TaskSet()
    tasks.start(exporter.run(), "exporter")
    await asyncio.sleep(0)
    exporter.add("last")
    await tasks.aclose()
    assert collector.bodies == [b"last"]


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        (b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}', 2),
        (b'{"partialSuccess":{"rejectedSpans":9}}', 3),
        (b'{"partialSuccess":{}}', 0),
        (b'{"partialSuccess":null}', 0),
        (b"[]", 0),
        (b"no json", 0),
        (b"", 0),
    ],
)
async def test_a_partly_taken_batch_is_counted_by_its_parts(said: bytes, dropped: int) -> None:
    exporter = exporter_to(Collector(200, said=said))
    for item in "abc":
        exporter.add(item)
    await until_settled(exporter, 3)
    assert (exporter.taken, exporter.dropped) == (3 - dropped, dropped)


async def test_a_batch_that_cannot_be_written_does_not_end_the_export() -> None:
    collector = Collector(200)
    failures = [ValueError("odd record")]

    def encode(items: Sequence[str]) -> bytes:
        if failures:
            raise failures.pop()
        return as_lines(items)

    exporter = OtlpExporter(
        URL, encode, headers={}, flush_seconds=0.001, transport=httpx.MockTransport(collector)
    )
    exporter.add("a")
    tasks = TaskSet()
    tasks.start(exporter.run(), "exporter")
    async with asyncio.timeout(20):
        while not exporter.dropped:  # noqa: ASYNC110  # a counter has no event
            await asyncio.sleep(0.001)
        exporter.add("b")
        while not exporter.taken:  # noqa: ASYNC110  # same
            await asyncio.sleep(0.001)
    await tasks.aclose()
    assert collector.bodies == [b"b"]


def test_without_an_endpoint_nothing_is_sent() -> None:
    assert not OtlpSettings().sends("logs")
    only_logs = OtlpSettings(otlp_endpoint="https://c:4318/", otlp_signals=("logs",))
    assert only_logs.otlp_endpoint == "https://c:4318"
    assert only_logs.sends("logs")
    assert not only_logs.sends("traces")


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "ftp://c", "https://", "https://me:pw@c", "https://c?key=1", "https://c#x"]
)
def test_an_endpoint_is_an_origin_without_credentials(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="the collector is written as") as refused:
        OtlpSettings(otlp_endpoint=endpoint)
    assert "me:pw" not in str(refused.value)


def test_headers_are_pairs() -> None:
    settings = OtlpSettings(otlp_headers=Secret("Authorization=Bearer a=b, x-scope=team one"))
    assert settings.collector_headers() == {"authorization": "Bearer a=b", "x-scope": "team one"}
    assert "Bearer" not in repr(settings)


@pytest.mark.parametrize("text", ["canary", "=canary", "a b=canary", "a=canary\r\nb: c", "a=canary\x7f"])
def test_anything_else_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValidationError, match="not NAME=VALUE") as refused:
        OtlpSettings(otlp_headers=Secret(text))
    assert "canary" not in str(refused.value)


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(ValidationError, match="the signals are traces, logs"):
        OtlpSettings(otlp_signals=("metrics",))


def test_a_file_of_authorities_that_cannot_be_used_is_named() -> None:
    settings = OtlpSettings(otlp_ca_file=Path("/nowhere/ca.pem"))
    with pytest.raises(SettingFileError, match="AIGW_OTLP_CA_FILE"):
        settings.collector_tls()
