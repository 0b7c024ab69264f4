"""The log of boxes' connections names the full cap."""

from __future__ import annotations

from typing import get_args

import pytest

from services.data_plane.relay.connection_caps import Cap, box_cap_log


@pytest.mark.parametrize(
    ("cap", "org", "words"),
    [
        ("unidentified", "", "7 of unknown boxes:"),
        ("box", "acme", "7 of one box of the org acme:"),
        ("org", "acme", "7 of the org acme:"),
        ("all", "", "7 in all:"),
    ],
)
def test_a_line_of_the_log_names_the_cap(
    cap: str, org: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    box_cap_log(lambda: 0.0).note("evicted", cap, 7, org)
    (line,) = caplog.messages
    assert line.startswith(f"connections of boxes are at a cap, {words} 1 evicted")


def test_every_cap_is_counted_from_zero_on() -> None:
    log = box_cap_log(lambda: 0.0)
    assert dict(log.evicted) == dict(log.refused) == dict.fromkeys(get_args(Cap), 0)
