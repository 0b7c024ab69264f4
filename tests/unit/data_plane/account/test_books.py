"""One call per exchange reaches every book."""

from __future__ import annotations

import asyncio
import io

import pytest

from services.data_plane.account.access_log import AccessLog
from services.data_plane.account.books import MAX_UNREAD, Books
from services.data_plane.account.last_errors import LastErrors
from services.data_plane.account.metrics import Metrics
from services.data_plane.core.attribution import attribution_of
from services.data_plane.core.key_scan import KeySearch
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.support.exchange_records import exchange_record

FAILED = exchange_record(org="acme", provider="openai", status=500, outcome="answered")


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


COMPACT = b'{"canary":"canary","usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}'
SPREAD = b'{"canary":"canary","usage":{"completion_tokens":5,"prompt_tokens":7,"total_tokens":12}}'


@pytest.mark.parametrize("body", [COMPACT, SPREAD])
async def test_the_usage_of_an_answer_is_counted_and_logged_without_a_word_of_it(body: bytes) -> None:
    metrics, sink = Metrics(), io.StringIO()
    log = AccessLog(sink)
    books = Books(metrics, LastErrors(), log)
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    books.finished(record, body)
    await asyncio.sleep(0)
    assert b'aigw_tokens_total{kind="input",provider="openai"} 7.0' in metrics.exposition()
    log._write(log._take())
    assert '"input_tokens":7,' in sink.getvalue()
    assert '"output_tokens":5,' in sink.getvalue()
    assert "canary" not in sink.getvalue() + metrics.exposition().decode()


async def test_what_is_plain_at_a_glance_is_booked_at_once() -> None:
    log = AccessLog(io.StringIO())
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    Books(Metrics(), LastErrors(), log).finished(record, COMPACT)
    assert (record.stated_usage, log._pending) == ((b"7", b"5", b"0", b"0", b"0", b"}}"), [record])


async def test_a_glance_at_a_cut_answer_is_not_enough() -> None:
    record = exchange_record(org="acme", provider="openai", status=200, outcome="cut")
    Books(Metrics(), LastErrors(), None).finished(record, b'{"a":' + COMPACT)
    assert record.stated_usage is None
    await asyncio.sleep(0)
    assert record.usage is NoUsage.CUT


async def test_what_needs_reading_is_booked_a_turn_later() -> None:
    log = AccessLog(io.StringIO())
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    Books(Metrics(), LastErrors(), log).finished(record, SPREAD)
    assert (record.usage, log._pending) == (None, [])
    await asyncio.sleep(0)
    assert (record.usage, log._pending) == (Usage(7, 0, 0, 5, 0), [record])


async def test_an_answer_of_many_pieces_is_booked_a_turn_later() -> None:
    log = AccessLog(io.StringIO())
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    tap = UsageTap(COMPACT[:40])
    tap.take(COMPACT[40:])
    Books(Metrics(), LastErrors(), log).finished(record, tap)
    assert (record.usage, log._pending) == (None, [])
    await asyncio.sleep(0)
    assert (record.usage, log._pending) == (Usage(7, 0, 0, 5, 0), [record])


async def test_so_many_unread_answers_are_read_at_once() -> None:
    metrics = Metrics()
    books = Books(metrics, LastErrors(), None)
    for _ in range(MAX_UNREAD):
        books.finished(exchange_record(provider="openai"), b"{}")
    assert f'found="absent",provider="openai"}} {MAX_UNREAD}.0'.encode() in metrics.exposition()
    await asyncio.sleep(0)


async def test_a_fault_while_reading_loses_no_booking(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    broken = UsageTap()
    broken.take("no bytes")  # type: ignore[arg-type]  # which only a fault of ours could bring there
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    Books(metrics, LastErrors(), None).finished(record, broken)
    await asyncio.sleep(0)
    assert b'status="200"' in metrics.exposition()
    assert b'aigw_usage_reads_total{found="unreadable",provider="openai"} 1.0' in metrics.exposition()
    assert "a usage could not be read" in caplog.text


ORG_KEY = b"sk-proj-0123456789abcdefghij"


@pytest.mark.parametrize("glue", [b"", b"gpt-5-"])
@pytest.mark.parametrize("body", [COMPACT, SPREAD])
async def test_no_name_or_label_with_the_orgs_key_reaches_the_log(body: bytes, glue: bytes) -> None:
    """An endpoint chooses the model's name and the tier, a box the labels."""
    sink = io.StringIO()
    log = AccessLog(sink)
    named = body.replace(
        b'"canary":"canary"', b'"model":"%b","service_tier":"%b"' % (glue + ORG_KEY, ORG_KEY)
    )
    for tapped in (named, UsageTap(named), None):
        record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
        record.attribution = attribution_of({b"session-id": [glue.replace(b"-", b"") + ORG_KEY]})
        Books(Metrics(), LastErrors(), log).finished(record, tapped, KeySearch(ORG_KEY))
    await asyncio.sleep(0)
    log._write(log._take())
    assert sink.getvalue().count("\n") == 3
    assert ORG_KEY.decode() not in sink.getvalue()


async def test_a_clean_name_and_clean_labels_reach_the_log() -> None:
    sink = io.StringIO()
    log = AccessLog(sink)
    record = exchange_record(org="acme", provider="openai", status=200, outcome="answered")
    record.attribution = attribution_of({b"session-id": [b"session-1"]})
    body = COMPACT.replace(b'"canary":"canary"', b'"model":"gpt-5.2"')
    Books(Metrics(), LastErrors(), log).finished(record, body, KeySearch(ORG_KEY))
    log._write(log._take())
    assert ("gpt-5.2" in sink.getvalue(), "session-1" in sink.getvalue()) == (True, True)


async def test_a_completion_of_a_provider_that_hides_tokens_in_the_total_is_not_read_at_a_glance() -> None:
    body = (
        b'{"object":"chat.completion","model":"m","usage":'
        b'{"prompt_tokens":8,"completion_tokens":10,"total_tokens":518}}'
    )
    record = exchange_record(org="acme", provider="gemini", status=200, outcome="answered")
    Books(Metrics(), LastErrors(), None).finished(record, body)
    await asyncio.sleep(0)
    assert (record.stated_usage, record.usage) == (None, Usage(8, 0, 0, 510, 500))
