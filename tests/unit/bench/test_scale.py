"""The simulation of a large fleet: its measurements are right, and its page tells the numbers."""

from __future__ import annotations

from bench.scale.at_once import measure_at_once
from bench.scale.crowd import crowd, toggles
from bench.scale.measure import measure
from bench.scale.page import page
from shared.config_feed import decode_snapshot, encode_snapshot
from shared.providers import DEFAULT_OFFER


def test_the_crowd_survives_the_real_codec() -> None:
    made = crowd(10)
    assert decode_snapshot(encode_snapshot(made)) == made
    assert len(made.integrations) == 10 * len(DEFAULT_OFFER)
    assert [event.revision for event in toggles(made, 3)] == [51, 52, 53]


def test_a_small_measurement_counts_everything_it_was_asked_for() -> None:
    found = measure(orgs=30, processes=3, events=10, fan_out_events=1)
    assert (found.orgs, found.integrations, found.processes) == (30, 30 * len(DEFAULT_OFFER), 3)
    assert found.snapshot_bytes == len(encode_snapshot(crowd(30)))
    assert found.event_bytes > 100
    asked = measure_at_once(orgs=30, askers=5)
    assert (asked.askers, asked.dialect) == (5, "sqlite")
    assert 0 < asked.first_seconds <= asked.all_seconds
    text = page(found, asked)
    assert "## 5 data planes ask at once" in text
    assert "each of 30 orgs" in text
    assert f"{found.event_bytes} B; decoded and applied in" in text
