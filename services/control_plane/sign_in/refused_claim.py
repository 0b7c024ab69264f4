"""Names the part of a token that a refusal is about, for the log: never what the part holds."""

from __future__ import annotations

from typing import Final

from jwt import exceptions
from jwt.exceptions import PyJWTError

_CLAIM_OF: Final[tuple[tuple[type[PyJWTError], str], ...]] = (
    # A class before its base.
    (exceptions.ExpiredSignatureError, "claim exp is past"),
    (exceptions.InvalidAudienceError, "claim aud is not this client"),
    (exceptions.InvalidIssuerError, "claim iss is another issuer"),
    (exceptions.InvalidIssuedAtError, "claim iat is no time"),
    (exceptions.ImmatureSignatureError, "claim iat or nbf is in the future"),
    (exceptions.InvalidSubjectError, "claim sub is no text"),
    (exceptions.InvalidJTIError, "claim jti is no text"),
    (exceptions.InvalidSignatureError, "signature is wrong"),
    (exceptions.InvalidAlgorithmError, "algorithm (alg) is not that of its key"),
    (exceptions.DecodeError, "form is not that of a signed JSON object"),
)


def refused_claim(error: PyJWTError) -> str:
    """Say in our own words which claim of a token, or which other part, was refused: "claim exp is past"."""
    if isinstance(error, exceptions.MissingRequiredClaimError):
        return f"claim {error.claim} is missing"
    for kind, words in _CLAIM_OF:
        if isinstance(error, kind):
            return words
    return f"form is wrong ({type(error).__name__})"


def refused_address(email: object, verified: object) -> str:
    """Say which claim keeps an address from being taken: `email`, or `email_verified`."""
    if not isinstance(email, str):
        return "claim email is missing"
    if verified is None:
        return "claim email_verified is missing"
    if verified is False or str(verified).lower() == "false":
        return "claim email_verified is false"
    return "claim email is no address, or email_verified is neither true nor false"
