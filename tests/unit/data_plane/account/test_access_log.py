"""The access log: one line per exchange, in batches, bounded, whatever ids a provider sends."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest

from services.data_plane.account.access_log import MAX_REQUEST_ID_CHARS, AccessLog, format_line
from services.data_plane.core.attribution import Attribution
from services.data_plane.core.usage.tokens import NoUsage, Usage
from shared.tasks import TaskSet
from tests.support.exchange_records import exchange_record

RECORD = exchange_record(
    org="acme",
    box="box-1",
    provider="openai",
    method="POST",
    route="chat/completions",
    status=200,
    outcome="answered",
    started_at=1_793_700_900.123,
    seconds_to_send=0.0015,
    seconds_to_head=0.25,
    seconds=1.5,
    bytes_up=10,
    bytes_down=20,
    reused=True,
    request_id="req_1",
    usage=Usage(70, 20, 10, 50, 30),
    model="gpt-x",
    service_tier="flex",
    attribution=Attribution("0647a1fc", "", "", "main"),
)


async def run_until_written(log: AccessLog, sink: io.StringIO, lines: int) -> None:
    tasks = TaskSet()
    tasks.start(log.run(), "access log")
    async with asyncio.timeout(20):
        while sink.getvalue().count("\n") < lines:  # noqa: ASYNC110  # a sink has no event
            await asyncio.sleep(0.001)
    await tasks.aclose()


def test_a_line_is_json_with_every_field_of_the_record() -> None:
    line = format_line(RECORD)
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2026-11-03T10:15:00.123Z",
        "event": "exchange",
        "org": "acme",
        "box": "box-1",
        "provider": "openai",
        "method": "POST",
        "route": "chat/completions",
        "status": 200,
        "code": "",
        "outcome": "answered",
        "seconds": 1.5,
        "seconds_to_send": 0.0015,
        "seconds_to_head": 0.25,
        "bytes_up": 10,
        "bytes_down": 20,
        "reused": True,
        "leaked_key": False,
        "session": "0647a1fc",
        "agent": "",
        "parent_agent": "",
        "request_class": "main",
        "input_tokens": 70,
        "cached_input_tokens": 20,
        "cache_write_tokens": 10,
        "output_tokens": 50,
        "reasoning_tokens": 30,
        "cache_write_1h_tokens": 0,
        "model": "gpt-x",
        "service_tier": "flex",
        "request_id": "req_1",
    }


@pytest.mark.parametrize("usage", [None, *NoUsage])
def test_tokens_that_are_not_known_are_null(usage: NoUsage | None) -> None:
    line = json.loads(format_line(exchange_record(usage=usage)))
    assert {line[name] for name in Usage._fields} == {None}


def test_what_a_provider_puts_into_its_request_id_stays_one_bounded_json_text() -> None:
    hostile = 'x"}\n{"org":"evil\u2028\x00' + "y" * 1_000
    line = format_line(exchange_record(request_id=hostile, method='G"ET'))
    assert line.count("\n") == 1
    assert json.loads(line)["request_id"] == hostile[:MAX_REQUEST_ID_CHARS]
    assert json.loads(line)["seconds_to_head"] is None


async def test_lines_are_written_in_order_some_time_later() -> None:
    sink = io.StringIO()
    log = AccessLog(sink, flush_seconds=0.001)
    for number in range(5):
        log.add(exchange_record(org=f"org-{number}"))
    assert sink.getvalue() == ""
    await run_until_written(log, sink, 5)
    assert [json.loads(line)["org"] for line in sink.getvalue().splitlines()] == [
        f"org-{n}" for n in range(5)
    ]


async def test_what_is_pending_at_the_end_is_still_written() -> None:
    sink = io.StringIO()
    log = AccessLog(sink, flush_seconds=3_600)
    tasks = TaskSet()
    tasks.start(log.run(), "access log")
    await asyncio.sleep(0)
    log.add(RECORD)
    await tasks.aclose()
    assert sink.getvalue() == format_line(RECORD)


def test_above_the_bound_lines_are_dropped_and_counted() -> None:
    log = AccessLog(io.StringIO(), max_pending_lines=2)
    for _ in range(5):
        log.add(RECORD)
    assert log.dropped_lines == 3


async def test_a_sink_that_is_gone_is_counted_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = io.StringIO()
    sink.close()
    log = AccessLog(sink, flush_seconds=0.001)
    log.add(RECORD)
    tasks = TaskSet()
    with caplog.at_level(logging.WARNING):
        running = tasks.start(log.run(), "access log")
        async with asyncio.timeout(20):
            while not log.dropped_lines:  # noqa: ASYNC110  # a plain number
                await asyncio.sleep(0.001)
        assert not running.done()
        await tasks.aclose()
    assert "could not be written" in caplog.text
