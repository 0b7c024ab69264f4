"""How long an exchange may pass no byte, and whose fault more is."""

from __future__ import annotations

import pytest

from services.data_plane.core.limits import RelayLimits
from services.data_plane.relay.exchange_stage import Stage, silence_limit
from shared.rejections import Rejection

LIMITS = RelayLimits(idle_seconds=1, first_byte_seconds=2, write_stall_seconds=3, body_progress_seconds=4)


@pytest.mark.parametrize(
    ("body_awaited", "stalled", "expected"),
    [
        (False, False, (2, Rejection.UPSTREAM_TIMEOUT)),
        (False, True, (2, Rejection.UPSTREAM_TIMEOUT)),
        (True, True, (3, Rejection.UPSTREAM_TIMEOUT)),
        (True, False, (4, Rejection.REQUEST_TIMEOUT)),
    ],
)
def test_before_the_response_the_side_that_must_move_is_waited_for(
    expected: tuple[float, Rejection], *, body_awaited: bool, stalled: bool
) -> None:
    assert silence_limit(Stage.SENT, LIMITS, body_awaited=body_awaited, stalled=stalled) == expected


@pytest.mark.parametrize("stage", [Stage.ANSWERING, Stage.SPLICED])
@pytest.mark.parametrize("stalled", [False, True])
def test_once_the_response_has_begun_only_idleness_counts(stage: Stage, *, stalled: bool) -> None:
    expected = (1, Rejection.UPSTREAM_TIMEOUT)
    assert silence_limit(stage, LIMITS, body_awaited=stalled, stalled=stalled) == expected
