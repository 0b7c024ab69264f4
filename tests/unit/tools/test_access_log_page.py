"""The page of the access log has every field of a line, with the type given by the writer."""

from __future__ import annotations

import json

from services.data_plane.account.access_log import format_line
from services.data_plane.account.record import ExchangeRecord
from tools.access_log_page import field_kinds, field_meanings, page


def test_every_field_of_a_line_has_a_meaning_and_a_row() -> None:
    line = json.loads(format_line(ExchangeRecord(0.0)))
    text = page()

    assert line.keys() <= field_meanings().keys()
    assert all(f"| `{name}` | {field_kinds()[name]} |" in text for name in line)


def test_a_field_without_a_value_in_some_lines_is_or_null() -> None:
    kinds = field_kinds()

    assert kinds["seconds_to_head"] == "number or null"
    assert kinds["output_tokens"] == "integer or null"
    assert (kinds["reused"], kinds["status"], kinds["time"]) == ("boolean", "integer", "string")
