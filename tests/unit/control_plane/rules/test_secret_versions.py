"""Tests of `rules/secret_versions.py`: only unneeded versions are called superfluous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control_plane.rules.secret_versions import (
    MAX_PIN_SECONDS,
    ORPHAN_SECONDS,
    SUPERSEDED_SECONDS,
    Pin,
    superfluous,
)

NOW = 1_700_000_000.0
LONG_AGO = NOW - 10 * SUPERSEDED_SECONDS


@pytest.mark.parametrize(
    ("pin", "stored", "expected"),
    [
        (Pin(2, LONG_AGO), {1: LONG_AGO, 2: LONG_AGO, 3: LONG_AGO}, {1, 3}),
        (Pin(2, NOW - 60), {1: LONG_AGO, 2: NOW - 60}, set()),
        (Pin(2, LONG_AGO), {2: LONG_AGO, 3: NOW - MAX_PIN_SECONDS}, set()),
        (Pin(2, LONG_AGO), {2: LONG_AGO, 3: NOW - ORPHAN_SECONDS - 1}, {3}),
        (Pin(), {1: LONG_AGO}, {1}),
        (Pin(), {1: NOW - MAX_PIN_SECONDS}, set()),
        (Pin(3, None), {2: LONG_AGO, 3: LONG_AGO, 4: NOW}, {2, 3}),
        (Pin(9, LONG_AGO), {}, set()),
    ],
)
def test_versions_are_kept_for_as_long_as_somebody_may_need_them(
    pin: Pin, stored: dict[int, float], expected: set[int]
) -> None:
    assert superfluous(pin, stored, NOW) == expected


@given(
    st.integers(1, 50),
    st.floats(0, NOW),
    st.dictionaries(st.integers(1, 60), st.floats(0, NOW), max_size=20),
)
def test_the_pinned_version_and_what_a_write_may_still_pin_are_never_named(
    version: int, since: float, stored: dict[int, float]
) -> None:
    named = superfluous(Pin(version, since), stored, NOW)
    assert version not in named
    assert not [one for one in named if one > version and NOW - stored[one] <= MAX_PIN_SECONDS]
