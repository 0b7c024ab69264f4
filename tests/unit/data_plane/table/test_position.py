"""When an event or a snapshot is accepted, ignored, or means that something is missing."""

from __future__ import annotations

import pytest

from services.data_plane.table.position import Position, Verdict, judge_beat, judge_event, judge_snapshot

HERE = Position("a", 5)


@pytest.mark.parametrize(
    ("here", "event", "verdict"),
    [
        (HERE, Position("a", 6), Verdict.ACCEPT),
        (HERE, Position("a", 5), Verdict.IGNORE),
        (HERE, Position("a", 1), Verdict.IGNORE),
        (HERE, Position("a", 7), Verdict.RESYNC),
        (HERE, Position("b", 6), Verdict.RESYNC),
        (HERE, Position("b", 1), Verdict.RESYNC),
        (None, Position("a", 1), Verdict.RESYNC),
    ],
)
def test_only_the_next_event_of_the_same_epoch_is_accepted(
    here: Position | None, event: Position, verdict: Verdict
) -> None:
    assert judge_event(here, event) is verdict


@pytest.mark.parametrize(
    ("here", "snapshot", "verdict"),
    [
        (None, Position("a", 0), Verdict.ACCEPT),
        (HERE, Position("a", 9), Verdict.ACCEPT),
        (HERE, Position("a", 5), Verdict.ACCEPT),
        (HERE, Position("a", 4), Verdict.IGNORE),
        (HERE, Position("b", 1), Verdict.ACCEPT),
    ],
)
def test_a_snapshot_is_ignored_only_when_events_have_told_more(
    here: Position | None, snapshot: Position, verdict: Verdict
) -> None:
    assert judge_snapshot(here, snapshot) is verdict


@pytest.mark.parametrize(
    ("here", "beat", "verdict"),
    [
        (None, Position("a", 5), Verdict.RESYNC),
        (Position("a", 5), Position("a", 5), Verdict.ACCEPT),
        (Position("a", 5), Position("a", 6), Verdict.RESYNC),
        (Position("a", 5), Position("a", 4), Verdict.IGNORE),
        (Position("a", 5), Position("b", 5), Verdict.RESYNC),
        (Position("a", 5), Position("b", 4), Verdict.RESYNC),
    ],
)
def test_a_beat_is_accepted_only_where_the_reader_is(
    here: Position | None, beat: Position, verdict: Verdict
) -> None:
    assert judge_beat(here, beat) is verdict
