"""The caller's identity, by the signed token in `X-Run9-Box-Token`: behind a trusted proxy, and for tests.

Verified offline against the node keys of the configuration. Never a default org.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from services.data_plane.core.unidentified import Unidentified

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from services.data_plane.identity.token_verifier import TokenVerifier
    from shared.box_token import Box

MAX_VERIFIED_TOKENS: Final = 16_384
"""About 1 KB each; a box's token serves many requests."""


class HeaderIdentity:
    """Implements the relay's `Identity`.

    A verified token is remembered: the next request with the same bytes costs a look-up, after its expiry and
    its node's key have been checked again. So a removed node is refused with the next request.

    Args:
        verifier: judges tokens not remembered.
        max_tokens: how many verified tokens are remembered; the least recently used goes first.
    """

    def __init__(self, verifier: TokenVerifier, *, max_tokens: int = MAX_VERIFIED_TOKENS) -> None:
        self._verifier = verifier
        self._max_tokens = max_tokens
        self._verified: OrderedDict[bytes, tuple[Box, Ed25519PublicKey]] = OrderedDict()

    def identify(self, token: bytes | None) -> Box:
        """Give the box proved by the token; raises `Unidentified`."""
        verifier = self._verifier
        if not token:
            raise verifier.refusals.note(Unidentified("no box token"))
        known = self._verified.get(token)
        if known is not None:
            box, key = known
            if verifier.keys().get(box.kid) is key and verifier.clock() < box.expires_at:
                self._verified.move_to_end(token)
                return box
            del self._verified[token]
        box, key = verifier.verify(token)
        self._verified[token] = box, key
        if len(self._verified) > self._max_tokens:
            self._verified.popitem(last=False)
        return box
