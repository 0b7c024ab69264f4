"""Sign-in at an OpenID Connect issuer: authorization code with PKCE.

Authlib writes the requests, httpx sends them, PyJWT judges the ID token.

Knows no session and no page: `leave` gives the browser's destination, `arrive` the returning person.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.control_plane.sign_in.bearer import ALGORITHMS, CLOCK_SKEW_SECONDS, Person, verified_email
from services.control_plane.sign_in.bounded_transport import BoundedTransport
from services.control_plane.sign_in.keys import KeySource, KeysUnavailable, UrlKeys
from shared.secret import Secret

SCOPE: Final = "openid email"
REQUEST_SECONDS: Final = 10.0
DISCOVERY_SECONDS: Final = 3600.0
CALLBACK_PATH: Final = "/sign-in/callback"
# The hash of an algorithm's name halves into `at_hash` (OpenID Connect Core §3.1.3.6); Ed25519 uses SHA-512.
_HASH_OF: Final = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}

_log = logging.getLogger(__name__)


class SignInFailed(Exception):  # noqa: N818  # a finding about one sign-in; `str()` is for its user
    """The sign-in failed."""


class IssuerUnavailable(SignInFailed):
    """The issuer cannot be reached, or does not speak OpenID Connect as configured."""


@dataclass(frozen=True, slots=True)
class OidcClient:
    """How this gateway is known to the issuer. `secret` is None for a public client.

    `assume_email_verified`: the operator vouches for the issuer's check of every address, though the issuer
    never says so.
    """

    issuer: str
    client_id: str
    secret: Secret | None
    portal_origin: str
    assume_email_verified: bool = False

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends people back to; registered there."""
        return self.portal_origin + CALLBACK_PATH


@dataclass(frozen=True, slots=True)
class Departure:
    """The browser's destination, and the memory for the return (never in the browser)."""

    url: str
    memory: dict[str, str]


class _Configuration(BaseModel):
    """The relevant part of the issuer's published configuration (OpenID Connect Discovery §3)."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False


class _Token(BaseModel):
    """The token endpoint's answer for a code."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    id_token: str = Field(repr=False)
    access_token: str = Field(repr=False)


@dataclass(frozen=True, slots=True)
class _Issuer:
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    keys: KeySource
    names_itself: bool  # RFC 9207: the way back names the issuer


def _https_transport() -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(trust_env=False)


class OidcSignIn:
    """Signs people in at a single issuer.

    The issuer's published configuration is read at the first use, then hourly. `transport` makes the way to
    the issuer, `keys_at` the source of its keys at a URL; tests give their own.
    """

    def __init__(
        self,
        client: OidcClient,
        *,
        transport: Callable[[], httpx.AsyncBaseTransport] = _https_transport,
        keys_at: Callable[[str], KeySource] = UrlKeys,
    ) -> None:
        self._client = client
        self._transport = transport
        self._keys_at = keys_at
        self._issuer: _Issuer | None = None
        self._issuer_until = 0.0
        self._discovering = asyncio.Lock()

    async def examine(self) -> None:
        """Read the issuer's configuration and keys anew, for the operator's check.

        Raises:
            IssuerUnavailable: its configuration cannot be read; `str()` says why.
            KeysUnavailable: its keys cannot.
        """
        try:
            issuer = await self._discover()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise IssuerUnavailable(f"its configuration cannot be read: {_reason(error)}") from None
        await asyncio.to_thread(issuer.keys.key, "aigw-doctor")  # an id that no issuer has

    async def leave(self) -> Departure:
        """Begin a sign-in; raises `IssuerUnavailable`."""
        issuer = await self._discovered()
        memory = {name: secrets.token_urlsafe(32) for name in ("state", "nonce")}
        memory["code_verifier"] = secrets.token_urlsafe(48)  # 64 characters, RFC 7636 §4.1
        url = prepare_grant_uri(
            issuer.authorization_endpoint,
            self._client.client_id,
            "code",
            redirect_uri=self._client.redirect_uri,
            scope=SCOPE,
            state=memory["state"],
            nonce=memory["nonce"],
            code_challenge=create_s256_code_challenge(memory["code_verifier"]),
            code_challenge_method="S256",
        )
        return Departure(str(url), memory)

    async def arrive(self, query: dict[str, str], memory: dict[str, Any]) -> Person:
        """Give the person vouched for by the issuer; raises `SignInFailed`."""
        issuer = await self._discovered()
        if not secrets.compare_digest(query.get("state", "").encode(), memory["state"].encode()):
            raise SignInFailed("This sign-in was not begun in this browser.")
        if query.get("iss", "" if issuer.names_itself else self._client.issuer) != self._client.issuer:
            raise SignInFailed("The answer came from another issuer.")
        if "error" in query or "code" not in query:
            raise SignInFailed("The sign-in was cancelled or refused there.")
        try:
            async with self._http() as http:
                token = await self._exchange(http, issuer, query["code"], memory["code_verifier"])
                claims = await asyncio.to_thread(self._verified, issuer, token, memory["nonce"])
                if not {"email", "email_verified"} <= claims.keys() and issuer.userinfo_endpoint:
                    claims = await self._with_userinfo(http, issuer.userinfo_endpoint, token, claims)
        except (PyJWTError, ValueError, RecursionError) as error:
            _log.warning("a sign-in failed at the issuer: %s", type(error).__name__)
            raise SignInFailed("The issuer's answer does not prove who you are.") from None
        except (httpx.HTTPError, httpx.InvalidURL, KeysUnavailable) as error:
            _log.warning("the issuer does not answer: %s", type(error).__name__)
            raise IssuerUnavailable("The sign-in service does not answer. Try again in a minute.") from None
        return self._person(claims)

    def _person(self, claims: dict[str, Any]) -> Person:
        email = verified_email(claims, assume_verified=self._client.assume_email_verified)
        if email is None:
            raise SignInFailed("The sign-in service names no verified email address for you.")
        return Person(email)

    def _http(self) -> httpx.AsyncClient:
        # Not Authlib's own client: that is one of httpx2 where it is installed, whose errors are not these.
        transport = BoundedTransport(self._transport())
        return httpx.AsyncClient(
            timeout=REQUEST_SECONDS, trust_env=False, follow_redirects=False, transport=transport
        )

    async def _exchange(
        self, http: httpx.AsyncClient, issuer: _Issuer, code: str, code_verifier: str
    ) -> _Token:
        """Redeem the code (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        secret = self._client.secret
        body = prepare_token_request(
            "authorization_code",
            code=code,
            redirect_uri=self._client.redirect_uri,
            code_verifier=code_verifier,
        )
        auth = ClientAuth(
            self._client.client_id,
            None if secret is None else secret.reveal(),
            "none" if secret is None else "client_secret_basic",
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        _, headers, body = auth.prepare("POST", issuer.token_endpoint, headers, body)
        answer = await http.post(issuer.token_endpoint, content=body, headers=headers)
        if answer.is_server_error:
            answer.raise_for_status()
        if answer.status_code != httpx.codes.OK:
            raise ValueError("the code is not taken")
        return _Token.model_validate_json(answer.content)

    def _verified(self, issuer: _Issuer, token: _Token, nonce: str) -> dict[str, Any]:
        """Check the ID token (OpenID Connect Core §3.1.3.7)."""
        header = jwt.get_unverified_header(token.id_token)
        key = issuer.keys.key(str(header.get("kid")))
        if key is None or header.get("alg") not in ALGORITHMS:
            raise ValueError("the ID token's key or algorithm is not known")
        claims: dict[str, Any] = jwt.decode(
            token.id_token,
            key,
            algorithms=ALGORITHMS,
            audience=self._client.client_id,
            issuer=self._client.issuer,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ValueError("the ID token was made for another sign-in")
        if claims.get("azp", self._client.client_id) != self._client.client_id:
            raise ValueError("the ID token was made for another client")
        if "at_hash" in claims and claims["at_hash"] != _at_hash(header["alg"], token.access_token):
            raise ValueError("the access token is not the one that came with the ID token")
        return claims

    async def _with_userinfo(
        self, http: httpx.AsyncClient, endpoint: str, token: _Token, claims: dict[str, Any]
    ) -> dict[str, Any]:
        answer = await http.get(endpoint, headers={"Authorization": f"Bearer {token.access_token}"})
        answer.raise_for_status()
        more = answer.json()
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
            raise ValueError("the user info is somebody else's")
        # Never a mixture: whether an address is verified is said by whoever names the address.
        return more if "email" in more else claims

    async def _discovered(self) -> _Issuer:
        async with self._discovering:
            if self._issuer is None or time.monotonic() >= self._issuer_until:
                try:
                    self._issuer = await self._discover()
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    _log.warning("the issuer's configuration cannot be read: %s", _reason(error))
                    if self._issuer is None:
                        raise IssuerUnavailable(
                            "The sign-in service does not answer. Try again in a minute."
                        ) from None
                self._issuer_until = time.monotonic() + DISCOVERY_SECONDS
            return self._issuer

    async def _discover(self) -> _Issuer:
        url = self._client.issuer.rstrip("/") + "/.well-known/openid-configuration"
        async with self._http() as http:
            answer = await http.get(url)
        answer.raise_for_status()
        found = _Configuration.model_validate_json(answer.content)
        if found.issuer != self._client.issuer:
            raise ValueError("it is another issuer's")
        scheme = urlsplit(self._client.issuer).scheme
        endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        if any(
            urlsplit(endpoint).scheme not in {"https", scheme}
            for endpoint in (*endpoints, found.userinfo_endpoint or url)
        ):
            raise ValueError("an endpoint is not https")
        return _Issuer(
            authorization_endpoint=found.authorization_endpoint,
            token_endpoint=found.token_endpoint,
            userinfo_endpoint=found.userinfo_endpoint,
            keys=self._keys_at(found.jwks_uri),
            names_itself=found.authorization_response_iss_parameter_supported,
        )


def _reason(error: Exception) -> str:
    """Describe in one line the fault of an answer, or of the way to the issuer, without the answer's text."""
    if isinstance(error, ValidationError):
        wrong = sorted({".".join(map(str, fault["loc"])) or "JSON" for fault in error.errors()})
        return f"it lacks, or has malformed, {', '.join(wrong)}"
    return str(error).partition("\n")[0] or type(error).__name__


def _at_hash(algorithm: str, access_token: str) -> str:
    """The left half of the access token's hash (OpenID Connect Core §3.1.3.6)."""
    digest = _HASH_OF[algorithm](access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
