"""Labels of a request from the headers of Claude Code, Codex and opencode: opaque, bounded, clean."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.attribution import (
    ATTRIBUTION_HEADERS,
    MAX_LABEL_CHARS,
    UNATTRIBUTED,
    Attribution,
    clean_label,
)
from services.data_plane.core.request_head import parse_request_head

CLAUDE_CODE = (
    "X-Claude-Code-Session-Id: 0647a1fc-0f91\r\nx-claude-code-agent-id: a1\r\n"
    "x-claude-code-parent-agent-id: a0\r\nx-claude-code-request-class: main\r\n"
)
CODEX = (
    "session-id: 01a2\r\nthread-id: 01a3\r\nx-codex-parent-thread-id: 01a2\r\nx-openai-subagent: review\r\n"
)


def labels(lines: str) -> Attribution:
    raw = f"POST /run9/ai/openai/v1/responses HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode("latin-1")
    head = parse_request_head(raw, 100)
    for name in ATTRIBUTION_HEADERS:
        assert (name in head.kept.lower()) == (name in raw.lower()), "the header passes as it came"
    return head.attribution


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (CLAUDE_CODE, Attribution("0647a1fc-0f91", "a1", "a0", "main")),
        (CODEX, Attribution("01a2", "01a3", "01a2", "review")),
        ("session_id: old\r\n", Attribution("old")),
        ("x-session-id: ses_1\r\n", Attribution("ses_1")),
        ("session-id: \r\nx-session-id: second\r\n", Attribution("second")),
        ("accept: */*\r\n", UNATTRIBUTED),
    ],
)
def test_the_labels_are_those_of_the_clients_headers(lines: str, expected: Attribution) -> None:
    assert labels(lines) == expected


@pytest.mark.parametrize(
    "around", ["{}", "Bearer {}", "key={}&x=1", '{{"key":"{}"}}', "a/b:{}", "user_{}", "a.b-{}"]
)
def test_a_provider_key_in_such_a_header_is_no_label(around: str) -> None:
    assert labels(f"session-id: {around.format('sk-proj-left-in-a-box-0123456789')}\r\n").session == ""


def test_a_name_with_letters_of_a_key_inside_is_a_label() -> None:
    assert clean_label(b"task-0647a1fc-0f91-4b1c-9d1e") == "task-0647a1fc-0f91-4b1c-9d1e"


@given(st.binary(max_size=300))
def test_a_label_is_short_and_clean_whatever_the_box_sends(value: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._:/@+=-]*", clean_label(value))
    assert len(clean_label(value)) <= MAX_LABEL_CHARS
