"""The calls of parts on their users: a user that misses a method would fall back to the base's silence."""

from __future__ import annotations

import inspect

import pytest

from services.data_plane.relay.box.connection import BoxConnection
from services.data_plane.relay.box_side import BoxSide
from services.data_plane.relay.connection_limits import CountedConnection
from services.data_plane.relay.exchange import Exchange
from services.data_plane.relay.preface_connection import PrefaceConnection
from services.data_plane.relay.unidentified import Displaceable
from services.data_plane.relay.upstream.connection import ConnectionKeeper, ResponseUser
from services.data_plane.relay.upstream.pool import Pool


def _declared(base: type) -> set[str]:
    return {name for name, value in vars(base).items() if inspect.isfunction(value)}


@pytest.mark.parametrize(
    ("user", "base"),
    [
        (BoxConnection, BoxSide),
        (BoxConnection, CountedConnection),
        (BoxConnection, Displaceable),
        (PrefaceConnection, Displaceable),
        (Exchange, ResponseUser),
        (Pool, ConnectionKeeper),
    ],
)
def test_a_user_answers_every_call_of_its_part_itself_with_the_same_arguments(user: type, base: type) -> None:
    for name in sorted(_declared(base)):
        own = vars(user).get(name)
        assert own is not None, f"{user.__name__} leaves {name} to {base.__name__}"
        assert list(inspect.signature(own).parameters) == list(inspect.signature(vars(base)[name]).parameters)


@pytest.mark.parametrize(
    ("base", "asks"), [(BoxSide, ("has_whole_request",)), (ResponseUser, ("passthrough_target",))]
)
def test_a_call_that_needs_an_answer_has_none_in_the_base(base: type, asks: tuple[str, ...]) -> None:
    for name in asks:
        with pytest.raises(AssertionError, match="the user of this part answers it"):
            getattr(base(), name)()
