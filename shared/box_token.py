"""The identity of a box, as a short-lived signed token: minted where boxes are attached, verified offline.

An Ed25519 JWT (RFC 7519, RFC 8037) with `typ` `run9-box+jwt`. Verification is strict on purpose: one
algorithm, a known key id, no header that could point at another key, bounded size and life.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_TYPE: Final = "run9-box+jwt"  # noqa: S105  # a media type, no secret
AUDIENCE: Final = "run9-ai-gateway"
MAX_TOKEN_BYTES: Final = 2048
MAX_LIFE_SECONDS: Final = 300
CLOCK_SKEW_SECONDS: Final = 30
MAX_ID_CHARS: Final = 128

_HEADER_NAMES = {"alg", "typ", "kid"}
_SEGMENT = re.compile(rb"[A-Za-z0-9_-]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


TokenFault = Literal[
    "malformed",
    "unknown_key",
    "wrong_signature",
    "wrong_audience",
    "too_long_lived",
    "not_yet_valid",
    "expired",
]
"""Why a token proves nothing, for counting: few, and none of a caller's free choice."""


class BoxTokenError(ValueError):
    """The token proves nothing; the message says which check failed and shows no byte of the token."""

    def __init__(self, message: str, fault: TokenFault = "malformed") -> None:
        super().__init__(message)
        self.fault: TokenFault = fault


@dataclass(frozen=True, slots=True)
class Box:
    """A caller: which box of which org, in which life of its slot, and until when that is proved.

    Attributes:
        org: the org of the box.
        box: the platform's name for the box.
        lifecycle: changes when the same slot is given to another box or to a fork.
        expires_at: Unix seconds; infinity for an identity without expiry.
        kid: the id of the node key behind the proof; empty where no token did.
    """

    org: str
    box: str
    lifecycle: str
    expires_at: float
    kid: str = ""


def public_key_text(key: Ed25519PublicKey) -> str:
    """Write a public key as it stands in `NodeRow`: raw 32 bytes, base64url without padding."""
    return urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()


def read_public_key(text: str) -> Ed25519PublicKey:
    """Read the output of `public_key_text`; raises `ValueError`."""
    raw = _decode_segment(text.encode())
    if len(raw) != 32:  # noqa: PLR2004  # RFC 8032 §5.1.5: an Ed25519 public key has 32 bytes
        raise ValueError("an Ed25519 public key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(raw)


def mint(
    key: Ed25519PrivateKey, kid: str, *, box: str, org: str, lifecycle: str, now: float, life_seconds: int
) -> str:
    """Sign a token for a box that is valid from `now` (Unix seconds) for `life_seconds` (at most 300)."""
    if not 0 < life_seconds <= MAX_LIFE_SECONDS:
        raise ValueError(f"a box token lives between 1 and {MAX_LIFE_SECONDS} seconds")
    import jwt  # noqa: PLC0415  # a data plane never mints, and its algorithms are 2 MiB

    claims = {
        "aud": AUDIENCE,
        "sub": box,
        "org": org,
        "lid": lifecycle,
        "iat": int(now),
        "exp": int(now) + life_seconds,
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": TOKEN_TYPE, "kid": kid})


def verify(token: bytes, keys: Mapping[str, Ed25519PublicKey], now: float) -> Box:
    """Give the box proved by `token` at `now` (Unix seconds), by any of the `keys` (by key id).

    Raises:
        BoxTokenError: for every token not exactly of the form made by `mint`.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise BoxTokenError("the token is too long")
    segments = token.split(b".")
    if len(segments) != 3 or not all(map(_SEGMENT.fullmatch, segments)):  # noqa: PLR2004  # RFC 7515 §7.1
        raise BoxTokenError("the token is not a JWT")
    header = _json_object(segments[0])
    if set(header) != _HEADER_NAMES or header["alg"] != "EdDSA" or header["typ"] != TOKEN_TYPE:
        raise BoxTokenError("the token's header is not a box token's")
    kid = header["kid"]
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise BoxTokenError("the token's node is not known", "unknown_key")
    try:
        key.verify(_decode_segment(segments[2]), segments[0] + b"." + segments[1])
    except InvalidSignature:
        raise BoxTokenError("the token's signature is wrong", "wrong_signature") from None
    return _box_of(_json_object(segments[1]), str(kid), now)


def _box_of(claims: dict[str, Any], kid: str, now: float) -> Box:
    if claims.get("aud") != AUDIENCE:
        raise BoxTokenError("the token is for another audience", "wrong_audience")
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        raise BoxTokenError("the token has no valid times")
    if not 0 < expires - issued <= MAX_LIFE_SECONDS:
        raise BoxTokenError("the token's life is too long", "too_long_lived")
    if issued > now + CLOCK_SKEW_SECONDS:
        raise BoxTokenError("the token is not valid yet", "not_yet_valid")
    if expires <= now:
        raise BoxTokenError("the token has expired", "expired")
    names = [claims.get(name) for name in ("org", "sub", "lid")]
    if not all(isinstance(name, str) and _ID.fullmatch(name) for name in names):
        raise BoxTokenError("the token names no valid org, box and lifecycle")
    org, box, lifecycle = names
    return Box(org=str(org), box=str(box), lifecycle=str(lifecycle), expires_at=float(expires), kid=kid)


def _decode_segment(segment: bytes) -> bytes:
    try:
        decoded = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise BoxTokenError("the token is not base64url") from None
    # One text per value: trailing bits that decode to the same bytes are refused (RFC 4648 §3.5).
    if urlsafe_b64encode(decoded).rstrip(b"=") != segment:
        raise BoxTokenError("the token is not canonical base64url")
    return decoded


def _json_object(segment: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_decode_segment(segment), object_pairs_hook=_no_repeats)
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError):
        raise BoxTokenError("the token is not JSON") from None
    if not isinstance(value, dict):
        raise BoxTokenError("the token is not a JSON object")
    return value


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise BoxTokenError("the token repeats a name")
    return names
