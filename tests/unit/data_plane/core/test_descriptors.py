"""Whatever the limit on descriptors, connections leave some to the process, and each org some to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data_plane.core.descriptors import KEPT_BACK_DESCRIPTORS, fit_descriptors
from services.data_plane.core.limits import RelayLimits


@given(st.integers(512, 2_000_000))
def test_full_caps_leave_the_descriptors_that_are_kept_back(descriptors: int) -> None:
    limits = fit_descriptors(RelayLimits(), descriptors)
    used = 2 * limits.max_connections + limits.max_idle_upstreams
    assert used + KEPT_BACK_DESCRIPTORS <= descriptors
    assert limits.max_connections_per_org is not None
    assert 2 * limits.max_connections_per_org <= limits.max_connections
    # One org and all strangers together leave a place to another org.
    assert limits.max_connections_per_org + limits.max_unidentified_connections < limits.max_connections


@given(st.integers(16, 512))
def test_of_few_descriptors_a_quarter_is_kept_back(descriptors: int) -> None:
    limits = fit_descriptors(RelayLimits(), descriptors)
    assert 2 * limits.max_connections + limits.max_idle_upstreams <= descriptors - descriptors // 4
    assert limits.max_connections >= 1


@pytest.mark.parametrize(("own", "expected"), [(None, 50), (80, 80), (1_000, 100)])
def test_the_operator_may_give_one_org_more_than_half_and_never_more_than_all(
    own: int | None, expected: int
) -> None:
    limits = fit_descriptors(RelayLimits(max_connections=100, max_connections_per_org=own), 10_000)
    assert (limits.max_connections, limits.max_connections_per_org) == (100, expected)


def test_what_fits_is_left_as_it_was_set() -> None:
    set_by_operator = RelayLimits(
        max_connections_per_box=7, max_idle_upstreams=9, max_unidentified_connections=3
    )
    fitted = fit_descriptors(set_by_operator, 1_048_576)
    assert (fitted.max_connections_per_box, fitted.max_idle_upstreams) == (7, 9)
    assert fitted.max_unidentified_connections == 3


def test_an_endpoint_alone_never_fills_the_pool_of_idle_connections() -> None:
    assert fit_descriptors(RelayLimits(), 1_000_000).max_idle_upstreams_per_endpoint == 256
    few = fit_descriptors(RelayLimits(), 1_024)
    assert few.max_idle_upstreams_per_endpoint == few.max_idle_upstreams // 2 == 56
