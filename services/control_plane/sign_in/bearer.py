"""The caller's identity: bearer JWTs of the configured issuers, and the two fixed tokens of machines.

A person is an email address vouched for by an issuer; the person's rights are the subject of
`rules/membership.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from services.control_plane.rules.names import canonical_email
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.keys import KeySource, KeysUnavailable
from services.control_plane.sign_in.refused_claim import refused_address, refused_claim
from shared.secret import Secret

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
MAX_TOKEN_CHARS: Final = 8192
CLOCK_SKEW_SECONDS: Final = 30
SCHEME: Final = "bearer"
_SIGNED_BUT_WRONG: Final = (
    jwt.InvalidAudienceError,
    jwt.InvalidIssuerError,
    jwt.InvalidIssuedAtError,
    jwt.ImmatureSignatureError,
    jwt.MissingRequiredClaimError,
)
"""What PyJWT finds wrong once it has verified a token's signature."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person. `email` is canonical."""

    email: str


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer's tokens are accepted for `audience` with a signature by any of its `keys`.

    `assume_email_verified`: the operator vouches for the issuer's check of every address, though the issuer
    never says so.
    """

    audience: str
    keys: KeySource
    assume_email_verified: bool = False


class SignIn:
    """Reads `Authorization` headers."""

    def __init__(self, issuers: Mapping[str, TrustedIssuer], platform_token: Secret | None) -> None:
        self._issuers = dict(issuers)
        self._platform_token = platform_token

    def person(self, authorization: str | None) -> Person:
        """Give the person; raises `ProblemError` (401, or 503 when the issuer's keys cannot be had)."""
        token = bearer_token(authorization)
        issuer, claims = self._verified_claims(token)
        email = verified_email(claims, assume_verified=issuer.assume_email_verified)
        if email is None:
            why = refused_address(claims.get("email"), claims.get("email_verified"))
            _log.warning("a token of a known issuer is refused: %s", why)
            raise unauthorized("The token names no verified email address.")
        return Person(email)

    def require_platform(self, authorization: str | None) -> None:
        """Refuse everybody but the platform, by its token, compared in constant time."""
        presented = Secret(bearer_token(authorization))
        if self._platform_token is None or presented != self._platform_token:
            raise unauthorized("Provisioning needs the platform's token.")

    def _verified_claims(self, token: str) -> tuple[TrustedIssuer, dict[str, Any]]:
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False})
            issuer = self._issuers.get(str(claimed.get("iss")))
            kid = header.get("kid")
            if issuer is None or not isinstance(kid, str) or header.get("alg") not in ALGORITHMS:
                raise unauthorized("The token was not made for this gateway.")
            key = issuer.keys.key(kid)
            if key is None:
                raise unauthorized("The token's key is not known.")
            return issuer, jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=issuer.audience,
                issuer=str(claimed["iss"]),
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise unauthorized("The token has expired.") from None
        except _SIGNED_BUT_WRONG as error:
            # The issuer did make this token, so no stranger can fill the log with such lines.
            _log.warning("a token of a known issuer is refused: %s", refused_claim(error))
            raise unauthorized("The token is not valid.") from None
        except (PyJWTError, ValueError, OverflowError, RecursionError):
            raise unauthorized("The token is not valid.") from None
        except KeysUnavailable as error:
            _log.warning("people cannot sign in: %s", error)
            raise ProblemError(
                Problem.SIGN_IN_UNAVAILABLE, "The keys of the token's issuer cannot be had at this moment."
            ) from None


def verified_email(claims: Mapping[str, Any], *, assume_verified: bool) -> str | None:
    """Give the canonical address vouched for by these claims of an issuer; None without such an address.

    An issuer with unchecked addresses says so by `email_verified` (OpenID Connect Core §5.1), or
    says nothing: silence counts only where the operator vouches for the issuer (`assume_verified`). Some
    issuers write the boolean as text (Amazon Cognito's user info), so `"true"` counts as true.
    """
    email = claims.get("email")
    if not isinstance(email, str) or not _is_true(claims.get("email_verified", assume_verified)):
        return None
    return canonical_email(email)


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def bearer_token(authorization: str | None) -> str:
    """Give the token of an `Authorization: Bearer` header (RFC 6750 §2.1), or refuse."""
    if authorization is None:
        raise ProblemError(
            Problem.SIGN_IN_REQUIRED,
            "Send Authorization: Bearer with a token.",
            headers={"WWW-Authenticate": 'Bearer realm="run9-ai-gateway"'},
        )
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != SCHEME or not token or len(token) > MAX_TOKEN_CHARS:
        raise unauthorized("The Authorization header holds no bearer token.")
    return token


def unauthorized(detail: str) -> ProblemError:
    """The refusal of a worthless token (RFC 6750 §3.1)."""
    challenge = 'Bearer realm="run9-ai-gateway", error="invalid_token"'
    return ProblemError(Problem.SIGN_IN_REQUIRED, detail, headers={"WWW-Authenticate": challenge})
