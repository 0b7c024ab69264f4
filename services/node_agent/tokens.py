"""Prefaces of boxes: each holds a token minted ahead, so accepting a connection signs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.box_token import MAX_LIFE_SECONDS, mint
from shared.proxy_preface import encode_preface

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from services.node_agent.rules.attachment import Attachment
    from shared.clock import Clock

LIFE_SECONDS: Final = MAX_LIFE_SECONDS
RENEW_SECONDS: Final = 120
"""After this age a token is replaced by `renew`; much life is left, so a late renewal harms nothing."""

LEAST_LIFE_SECONDS: Final = 30
"""A token with less life than this is not sent: the token might expire on its way, or under a differing
clock.
"""


@dataclass(frozen=True, slots=True)
class _Minted:
    preface: bytes
    at: float


class Preface:
    """The preface of an attachment. `current()` gives a preface with a valid token."""

    __slots__ = ("_attachment", "_minted", "_minter")

    def __init__(self, minter: Minter, attachment: Attachment) -> None:
        self._minter = minter
        self._attachment = attachment
        self._minted = minter.mint(attachment)

    def current(self) -> bytes:
        """Give the preface for a new connection; signs only when no renewal came in time."""
        age = self._minter.clock() - self._minted.at
        if not 0 <= age <= LIFE_SECONDS - LEAST_LIFE_SECONDS:  # the clock may have been set back, too
            self._minted = self._minter.mint(self._attachment)
        return self._minted.preface

    def renew(self) -> bool:
        """Mint a new token when the present token has reached a certain age.

        Returns whether a new token exists.
        """
        if 0 <= self._minter.clock() - self._minted.at < RENEW_SECONDS:
            return False
        self._minted = self._minter.mint(self._attachment)
        return True

    def __repr__(self) -> str:
        return f"Preface(box={self._attachment.box!r})"


class Minter:
    """Signs by the node's key. `minted` counts the tokens."""

    def __init__(self, key: Ed25519PrivateKey, kid: str, clock: Clock) -> None:
        self._key = key
        self._kid = kid
        self.clock: Callable[[], float] = clock
        self.minted = 0

    def preface_of(self, attachment: Attachment) -> Preface:
        """Give the preface of an attachment, with a first token."""
        return Preface(self, attachment)

    def mint(self, attachment: Attachment) -> _Minted:
        """Sign a token valid from now."""
        now = self.clock()
        self.minted += 1
        token = mint(
            self._key,
            self._kid,
            box=attachment.box,
            org=attachment.org,
            lifecycle=attachment.lifecycle_id,
            now=now,
            life_seconds=LIFE_SECONDS,
        )
        return _Minted(encode_preface(token.encode()), now)
