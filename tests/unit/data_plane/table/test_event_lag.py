"""The lag of changes that came by the event bus."""

from __future__ import annotations

from services.data_plane.table.event_lag import EventLag


def test_a_change_counts_with_the_time_since_its_commit() -> None:
    lag = EventLag(lambda: 100.0)
    lag.note(99.5)
    assert (lag.seconds.total, sum(lag.seconds.counts)) == (0.5, 1)


def test_a_change_from_the_future_has_no_lag() -> None:
    lag = EventLag(lambda: 100.0)
    lag.note(130.0)
    assert (lag.seconds.total, sum(lag.seconds.counts)) == (0.0, 1)


def test_a_change_without_a_time_is_not_counted() -> None:
    lag = EventLag(lambda: 100.0)
    lag.note(None)
    assert sum(lag.seconds.counts) == 0
