"""Reports of data-plane processes: what comes through, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.acknowledgement import (
    MAX_PENDING,
    MAX_SEEN,
    Acknowledgement,
    AcknowledgementError,
    Pending,
    Seen,
    decode_acknowledgement,
    decode_pending,
    encode_acknowledgement,
    encode_pending,
)

REPORT = Acknowledgement(
    process="p1",
    epoch="e1",
    applied_revision=7,
    applied_at=100.5,
    ready=True,
    pending=(Pending("acme", "openai"),),
    is_all_pending=True,
    seen=(Seen("acme", "anthropic", "rejected", 99.0),),
)


def test_a_report_survives_the_wire() -> None:
    assert decode_acknowledgement(encode_acknowledgement(REPORT)) == REPORT
    assert decode_pending(encode_pending(REPORT.pending)) == REPORT.pending


@pytest.mark.parametrize(
    "change",
    [
        {"process": ""},
        {"process": "x" * 129},
        {"applied_revision": -1},
        {"applied_revision": "7"},
        {"ready": 1},
        {"schema": 2},
        {"pending": [{"org": "acme", "provider": "other"}]},
        {"pending": [{"org": "acme", "provider": "openai"}] * (MAX_PENDING + 1)},
        {"seen": [{"org": "a", "provider": "openai", "verdict": "accepted", "at": 1.0}] * (MAX_SEEN + 1)},
        {"seen": [{"org": "a", "provider": "openai", "verdict": "perhaps", "at": 1.0}]},
    ],
)
def test_what_is_not_a_report_is_refused(change: dict[str, Any]) -> None:
    fields = json.loads(encode_acknowledgement(REPORT)) | change
    with pytest.raises(AcknowledgementError, match="not a report of schema 1"):
        decode_acknowledgement(json.dumps(fields).encode())


def test_no_json_is_refused_without_being_repeated() -> None:
    with pytest.raises(AcknowledgementError) as raised:
        decode_acknowledgement(b"sk-something-that-came-here-by-mistake")
    assert "mistake" not in str(raised.value)
