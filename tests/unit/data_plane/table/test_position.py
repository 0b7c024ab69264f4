"""When an event or a snapshot is accepted, ignored, or shows a gap."""

from __future__ import annotations

import pytest

from services.data_plane.table.position import Decision, Position, judge_beat, judge_event, judge_snapshot

HERE = Position("a", 5)


@pytest.mark.parametrize(
    ("here", "event", "verdict"),
    [
        (HERE, Position("a", 6), Decision.ACCEPT),
        (HERE, Position("a", 5), Decision.IGNORE),
        (HERE, Position("a", 1), Decision.IGNORE),
        (HERE, Position("a", 7), Decision.RESYNC),
        (HERE, Position("b", 6), Decision.RESYNC),
        (HERE, Position("b", 1), Decision.RESYNC),
        (None, Position("a", 1), Decision.RESYNC),
    ],
)
def test_only_the_next_event_of_the_same_epoch_is_accepted(
    here: Position | None, event: Position, verdict: Decision
) -> None:
    assert judge_event(here, event) is verdict


@pytest.mark.parametrize(
    ("here", "snapshot", "verdict"),
    [
        (None, Position("a", 0), Decision.ACCEPT),
        (HERE, Position("a", 9), Decision.ACCEPT),
        (HERE, Position("a", 5), Decision.ACCEPT),
        (HERE, Position("a", 4), Decision.IGNORE),
        (HERE, Position("b", 1), Decision.ACCEPT),
    ],
)
def test_a_snapshot_is_ignored_only_when_events_have_told_more(
    here: Position | None, snapshot: Position, verdict: Decision
) -> None:
    assert judge_snapshot(here, snapshot) is verdict


@pytest.mark.parametrize(
    ("here", "beat", "verdict"),
    [
        (None, Position("a", 5), Decision.RESYNC),
        (Position("a", 5), Position("a", 5), Decision.ACCEPT),
        (Position("a", 5), Position("a", 6), Decision.RESYNC),
        (Position("a", 5), Position("a", 4), Decision.IGNORE),
        (Position("a", 5), Position("b", 5), Decision.RESYNC),
        (Position("a", 5), Position("b", 4), Decision.RESYNC),
    ],
)
def test_a_beat_is_accepted_only_where_the_reader_is(
    here: Position | None, beat: Position, verdict: Decision
) -> None:
    assert judge_beat(here, beat) is verdict
