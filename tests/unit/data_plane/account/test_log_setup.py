"""The process's log is JSON, one record a line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from services.data_plane.account.log_setup import JsonFormatter, log_to


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, level = before
    root.setLevel(level)


@pytest.mark.usefixtures("_restored_logging")
def test_a_record_becomes_one_json_line_with_its_exception() -> None:
    sink = io.StringIO()
    log_to(sink)
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("some.part").exception("it %s", "failed")
    line = json.loads(sink.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("error", "some.part", "it failed")
    assert "ValueError" in line["exception"]
    assert sink.getvalue().count("\n") == 1


def test_the_time_is_rfc_3339_in_utc() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "m", (), None)
    record.created = 1_793_700_900.123
    assert json.loads(JsonFormatter().format(record))["time"] == "2026-11-03T10:15:00.123Z"
