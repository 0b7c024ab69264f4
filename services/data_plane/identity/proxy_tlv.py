"""The caller's identity, by the preface of the connection: proved once, for every request on the connection.

A header of the box counts for nothing here, `X-Run9-Box-Token` included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.unidentified import NotYetVerifiable, Unidentified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from services.data_plane.core.unidentified import IdentityFault
    from services.data_plane.identity.refusals import IdentityRefusals
    from services.data_plane.identity.token_verifier import TokenVerifier
    from shared.box_token import Box


class ConnectionIdentity:
    """Implements the relay's `Identity` for a connection whose preface has proved `box` by `key`."""

    __slots__ = ("_key", "_keys", "_refusals", "box")

    def __init__(
        self,
        box: Box,
        key: Ed25519PublicKey,
        keys: Callable[[], Mapping[str, Ed25519PublicKey]],
        refusals: IdentityRefusals,
    ) -> None:
        self.box = box
        self._key = key
        self._keys = keys
        self._refusals = refusals

    def identify(self, token: bytes | None) -> Box:  # noqa: ARG002  # the box's own words prove nothing
        """Give the connection's box, whatever was sent, while its node's key is in use."""
        if self._keys().get(self.box.kid) is not self._key:
            raise self._refusals.note(
                Unidentified("its node's key was removed", "unknown_key", of_connection=True)
            )
        return self.box


class UnprovenIdentity:
    """Implements the relay's `Identity` for a connection without proof, now and later."""

    __slots__ = ("_why",)

    def __init__(self, why: Unidentified) -> None:
        self._why = why

    def identify(self, token: bytes | None) -> Box:  # noqa: ARG002  # the box's own words prove nothing
        """Raise `Unidentified` for every request; each ends the connection."""
        found = self._why
        kind = NotYetVerifiable if isinstance(found, NotYetVerifiable) else Unidentified
        raise kind(str(found), found.fault, of_connection=True)


class PrefaceIdentity:
    """Implements the relay's `PrefaceDoor`."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def prove(self, token: bytes) -> ConnectionIdentity:
        """Verify a preface's token; raises `Unidentified`."""
        box, key = self._verifier.verify(token)
        return ConnectionIdentity(box, key, self._verifier.keys, self._verifier.refusals)

    def unproven(self, why: Unidentified) -> UnprovenIdentity:
        """Give the identity of a connection whose token was refused."""
        return UnprovenIdentity(why)

    def refuse(self, detail: str, fault: IdentityFault) -> Unidentified:
        """Count a connection without a token."""
        return self._verifier.refusals.note(Unidentified(detail, fault, of_connection=True))
