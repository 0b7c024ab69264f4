"""Who is calling, by the signed token in `X-Run9-Box-Token`: behind a trusted proxy, and for tests.

Verified offline against the node keys that came with the configuration. Never a default org.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from services.data_plane.core.caller import NotYetVerifiable, Unidentified
from shared.box_token import Box, BoxTokenError, verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from shared.clock import Clock

MAX_VERIFIED_TOKENS: Final = 16_384
"""About 1 KB each; a box's token serves many requests."""


class HeaderIdentity:
    """Implements the relay's `Identity`.

    A verified token is remembered: the next request that brings the same bytes costs a look-up, after its
    expiry and its node's key have been checked again. So a removed node is refused with the next request.

    Args:
        keys: gives the node keys by key id, as they are now.
        configured: whether there is any configuration yet.
        clock: Unix seconds.
        max_tokens: how many verified tokens are remembered; the least recently used goes first.
    """

    def __init__(
        self,
        keys: Callable[[], Mapping[str, Ed25519PublicKey]],
        *,
        configured: Callable[[], bool],
        clock: Clock,
        max_tokens: int = MAX_VERIFIED_TOKENS,
    ) -> None:
        self._keys = keys
        self._configured = configured
        self._clock = clock
        self._max_tokens = max_tokens
        self._verified: OrderedDict[bytes, tuple[Box, Ed25519PublicKey]] = OrderedDict()

    def identify(self, token: bytes | None) -> Box:
        """Give the box that the token proves; raises `Unidentified`."""
        if not token:
            raise Unidentified("no box token")
        keys = self._keys()
        known = self._verified.get(token)
        if known is not None:
            box, key = known
            if keys.get(box.kid) is key and self._clock() < box.expires_at:
                self._verified.move_to_end(token)
                return box
            del self._verified[token]
        return self._verify(token, keys)

    def _verify(self, token: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Box:
        try:
            box = verify(token, keys, self._clock())
        except BoxTokenError as error:
            if not self._configured():
                raise NotYetVerifiable("it does not know the nodes yet") from None
            raise Unidentified(str(error)) from None
        self._verified[token] = (box, keys[box.kid])
        if len(self._verified) > self._max_tokens:
            self._verified.popitem(last=False)
        return box
