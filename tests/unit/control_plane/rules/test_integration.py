"""The effect of a requested change on an integration."""

from __future__ import annotations

import pytest

from services.control_plane.rules.integration import KEEP, Current, Keep, Requested, Transition, patch, put
from services.control_plane.rules.problems import Problem, ProblemError
from shared.secret import Secret

OWN = "https://api.openai.com/v1"
CUSTOM = "https://gateway.acme.test/v1"
NOTHING = Current("not_set_up", "")
ENABLED = Current("enabled", OWN)


def wants(*, key: bool = False, endpoint: str | Keep = KEEP, enabled: bool | Keep = KEEP) -> Requested:
    return Requested(Secret("sk-0123456789") if key else None, endpoint, enabled)


def test_the_first_put_needs_a_key() -> None:
    with pytest.raises(ProblemError) as caught:
        put(NOTHING, wants(enabled=True), OWN)
    assert (caught.value.problem, caught.value.faults[0].pointer) == (Problem.KEY_REQUIRED, "#/api_key")


@pytest.mark.parametrize(("enabled", "state"), [(True, "enabled"), (False, "disabled")])
def test_the_first_put_sets_up_at_the_providers_own_endpoint(enabled: bool, state: str) -> None:  # noqa: FBT001  # a table's column
    made = put(NOTHING, wants(key=True, enabled=enabled), OWN)
    assert (made.state, made.endpoint, made.secret) == (state, OWN, True)


def test_the_first_put_may_name_an_endpoint() -> None:
    assert put(NOTHING, wants(key=True, endpoint=CUSTOM, enabled=True), OWN).endpoint == CUSTOM


def test_a_changed_endpoint_needs_the_key_again() -> None:
    for change in (
        put(ENABLED, wants(key=True, endpoint=CUSTOM), OWN),
        patch(ENABLED, wants(key=True, endpoint=CUSTOM)),
    ):
        assert (change.endpoint, change.secret) == (CUSTOM, True)
    with pytest.raises(ProblemError) as by_put:
        put(ENABLED, wants(endpoint=CUSTOM, enabled=True), OWN)
    with pytest.raises(ProblemError) as by_patch:
        patch(ENABLED, wants(endpoint=CUSTOM))
    for refusal in (by_put.value, by_patch.value):
        assert refusal.problem is Problem.KEY_REQUIRED
        assert [fault.pointer for fault in refusal.faults] == ["#/api_key", "#/endpoint"]


@pytest.mark.parametrize(
    "wanted", [wants(enabled=True), wants(), wants(endpoint=OWN), wants(endpoint=OWN, enabled=True)]
)
def test_what_changes_nothing_writes_nothing(wanted: Requested) -> None:
    assert put(ENABLED, wanted, OWN) == Transition("enabled", OWN, secret=False, changed=())
    assert patch(ENABLED, wanted).changed == ()


def test_the_switch_alone_needs_no_secret() -> None:
    off = patch(ENABLED, wants(enabled=False))
    assert (off.state, off.secret, off.changed) == ("disabled", False, ("enabled",))
    on = put(Current("disabled", CUSTOM), wants(enabled=True), OWN)
    assert (on.state, on.endpoint, on.secret) == ("enabled", CUSTOM, False)


def test_a_new_key_alone_keeps_state_and_endpoint() -> None:
    rotated = patch(Current("disabled", CUSTOM), wants(key=True))
    assert rotated == Transition("disabled", CUSTOM, secret=True, changed=("api_key",))


def test_nothing_can_be_patched_before_it_is_set_up() -> None:
    with pytest.raises(ProblemError) as caught:
        patch(NOTHING, wants(key=True, enabled=True))
    assert caught.value.problem is Problem.NOT_SET_UP
