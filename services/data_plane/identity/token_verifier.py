"""Turns a box's signed token into the proved box, offline: a single verifier for every listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.unidentified import NotYetVerifiable, Unidentified
from shared.box_token import Box, BoxTokenError, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from services.data_plane.identity.refusals import IdentityRefusals
    from shared.clock import Clock


class TokenVerifier:
    """Verifies tokens by the node keys of the configuration.

    Args:
        keys: gives the present node keys by key id.
        configured: whether there is any configuration yet.
        clock: Unix seconds.
        refusals: counts the refusals.
    """

    def __init__(
        self,
        keys: Callable[[], Mapping[str, Ed25519PublicKey]],
        *,
        configured: Callable[[], bool],
        clock: Clock,
        refusals: IdentityRefusals,
    ) -> None:
        self.keys = keys
        self.clock = clock
        self.refusals = refusals
        self._configured = configured

    def verify(self, token: bytes) -> tuple[Box, Ed25519PublicKey]:
        """Give the box proved by `token`, and the key behind the proof; raises `Unidentified`, counted."""
        keys = self.keys()
        try:
            box = verify(token, keys, self.clock())
        except BoxTokenError as error:
            if not self._configured():
                unknown: Unidentified = NotYetVerifiable("it does not know the nodes yet", "no_nodes_yet")
            else:
                unknown = Unidentified(str(error), error.fault)
            raise self.refusals.note(unknown) from None
        return box, keys[box.kid]
