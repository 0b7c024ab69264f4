"""Reports of data-plane processes: the accepted reports, and the refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.acknowledgement import (
    MAX_PENDING,
    MAX_REPORT_BYTES,
    MAX_SEEN,
    Acknowledgement,
    AcknowledgementError,
    Pending,
    Seen,
    decode_acknowledgement,
    decode_pending,
    encode_acknowledgement,
    encode_pending,
    fitted,
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


LONG = ["x", "\U0001f512", "\x01", '"']  # 1, 4, 6 and 2 bytes a character as JSON


def crowded(character: str, pending: int = MAX_PENDING, seen: int = MAX_SEEN) -> Acknowledgement:
    """A report about orgs whose ids have 128 characters."""
    orgs = [f"{number:03}" + character * 125 for number in range(max(pending, seen))]
    return replace(
        REPORT,
        process="p" * 128,
        epoch="e" * 64,
        applied_revision=2**63,
        applied_at=1_700_000_000.123456,
        pending=tuple(Pending(org, "anthropic") for org in orgs[:pending]),
        seen=tuple(Seen(org, "anthropic", "accepted", 1_700_000_000.123456) for org in orgs[:seen]),
    )


@pytest.mark.parametrize("character", LONG)
@pytest.mark.parametrize(("pending", "seen"), [(200, 200), (200, 0), (0, 200), (200, 1), (1, 200)])
def test_a_report_is_cut_to_what_the_control_plane_takes(character: str, pending: int, seen: int) -> None:
    whole = crowded(character, pending, seen)
    cut = fitted(whole)
    assert len(encode_acknowledgement(cut)) <= MAX_REPORT_BYTES
    assert decode_acknowledgement(encode_acknowledgement(cut)) == cut
    assert cut.pending == whole.pending[: len(cut.pending)]
    assert cut.seen == whole.seen[: len(cut.seen)]
    assert cut.is_all_pending == (cut.pending == whole.pending)
    assert bool(cut.pending) == bool(whole.pending)
    assert bool(cut.seen) == bool(whole.seen), "what traffic shows moves on, whatever is pending"
    assert replace(cut, pending=(), seen=(), is_all_pending=True) == replace(whole, pending=(), seen=())


def test_of_ids_as_orgs_have_them_everything_pending_is_told() -> None:
    whole = crowded("x")
    assert len(encode_acknowledgement(whole)) > MAX_REPORT_BYTES
    assert fitted(whole).pending == whole.pending
    assert fitted(whole).is_all_pending


@pytest.mark.parametrize("character", LONG)
def test_a_cut_report_leaves_no_room_for_one_more(character: str) -> None:
    whole = crowded(character)
    cut = fitted(whole)
    more = replace(cut, seen=whole.seen[: len(cut.seen) + 1])
    assert len(encode_acknowledgement(more)) > MAX_REPORT_BYTES - 2  # a comma after the last, and `false`


def test_what_fits_is_left_alone() -> None:
    assert fitted(REPORT) == REPORT
    incomplete = replace(REPORT, is_all_pending=False)
    assert fitted(incomplete) == incomplete
