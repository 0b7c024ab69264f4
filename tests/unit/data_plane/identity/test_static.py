"""The same fixed box for every caller."""

from __future__ import annotations

import math

from services.data_plane.identity.static import StaticIdentity


def test_every_caller_is_the_same_box_whatever_it_sends() -> None:
    identity = StaticIdentity("acme")
    box = identity.identify(None)
    assert (box.org, box.expires_at) == ("acme", math.inf)
    assert identity.identify(b"anything") is box
