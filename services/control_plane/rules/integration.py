"""The effect of a requested change on an integration: the next state and the necessary writes.

Pure: values in, values out. Whether a key or an endpoint is acceptable is judged before, in `key.py` and
`endpoint.py`; `store` checks for a change of the row meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from services.control_plane.rules.endpoint import ENDPOINT_POINTER
from services.control_plane.rules.key import KEY_POINTER
from services.control_plane.rules.problems import Fault, Problem, ProblemError, refused
from shared.secret import Secret

State = Literal["not_set_up", "enabled", "disabled"]
Part = Literal["api_key", "endpoint", "enabled"]


class Keep(Enum):
    """Marks a field left out of a change."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Current:
    """The rules' view of an integration: its state and where its stored key may go (`""`: nowhere)."""

    state: State
    endpoint: str


@dataclass(frozen=True, slots=True)
class Requested:
    """A change as asked for.

    Attributes:
        key: a new key; None keeps the stored key.
        endpoint: a canonical endpoint, or KEEP.
        enabled: the switch, or KEEP.
    """

    key: Secret | None
    endpoint: str | Keep
    enabled: bool | Keep


@dataclass(frozen=True, slots=True)
class Transition:
    """The writes of a change.

    Attributes:
        state: the state after the change.
        endpoint: the endpoint after the change.
        secret: whether a new version of the secret is needed.
        changed: the changed fields; if empty, nothing is written and no revision is taken.
    """

    state: State
    endpoint: str
    secret: bool
    changed: tuple[Part, ...]


def put(current: Current, requested: Requested, default_endpoint: str) -> Transition:
    """Set up, or change, as PUT does: the first time a key is needed and the endpoint may be left out."""
    if current.state == "not_set_up":
        if requested.key is None:
            raise refused(
                Problem.KEY_REQUIRED, KEY_POINTER, "The integration is not set up yet: give its API key."
            )
        current = Current("not_set_up", default_endpoint)
    return _transition(current, requested)


def patch(current: Current, requested: Requested) -> Transition:
    """Change some parts of an existing integration, as PATCH does."""
    if current.state == "not_set_up":
        raise ProblemError(
            Problem.NOT_SET_UP, "There is nothing to change yet: set it up by PUT, with a key."
        )
    return _transition(current, requested)


def _transition(current: Current, requested: Requested) -> Transition:
    endpoint = current.endpoint if requested.endpoint is KEEP else requested.endpoint
    moved = endpoint != current.endpoint
    # The secret carries its own destination: who may change the endpoint alone could aim a key that only
    # somebody else knows at a host of their own (threat row 20).
    if moved and requested.key is None:
        detail = "The endpoint changes, so the API key is needed again: a stored key never moves."
        raise ProblemError(
            Problem.KEY_REQUIRED,
            detail,
            (
                Fault(detail, pointer=KEY_POINTER),
                Fault("This differs from the stored one.", ENDPOINT_POINTER),
            ),
        )
    was_enabled = current.state == "enabled"
    enabled = was_enabled if requested.enabled is KEEP else requested.enabled
    state: State = "enabled" if enabled else "disabled"
    changed: list[Part] = []
    if requested.key is not None:
        changed.append("api_key")
    if moved:
        changed.append("endpoint")
    if state != current.state:
        changed.append("enabled")
    return Transition(state, endpoint, requested.key is not None, tuple(changed))
