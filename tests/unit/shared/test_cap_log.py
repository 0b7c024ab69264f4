"""Connections closed by a full cap are counted at once and logged once a minute."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.cap_log import LOG_EVERY_SECONDS, CapLog


def test_a_thousand_evictions_are_one_line_and_the_next_minute_tells_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    log = CapLog(lambda: now, "connections of boxes", {"all": "in all", "org": "of the org"})
    for _ in range(1_000):
        log.note("evicted", "all", 392)
    log.note("refused", "org", 196, "acme")
    assert len(caplog.messages) == 1
    log.log()
    now = LOG_EVERY_SECONDS
    log.log()
    log.log()
    assert len(caplog.messages) == 2
    assert "at a cap, 196 of the org acme: 999 evicted, 1 refused" in caplog.messages[1]
    assert (+Counter(log.evicted), +Counter(log.refused)) == ({"all": 1_000}, {"org": 1})
