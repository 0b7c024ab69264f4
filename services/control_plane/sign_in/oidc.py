"""Sign-in at an OpenID Connect issuer: authorization code with PKCE, by Authlib; the ID token by PyJWT.

Knows no session and no page: `leave` says where to send the browser, `arrive` who has come back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from jwt.exceptions import PyJWTError

from services.control_plane.rules.names import canonical_email
from services.control_plane.sign_in.bearer import ALGORITHMS, CLOCK_SKEW_SECONDS, Person
from services.control_plane.sign_in.keys import KeysUnavailable, UrlKeys
from shared.secret import Secret

SCOPE: Final = "openid email"
REQUEST_SECONDS: Final = 10.0
DISCOVERY_SECONDS: Final = 3600.0
MAX_DISCOVERY_BYTES: Final = 256 * 1024
CALLBACK_PATH: Final = "/sign-in/callback"

_log = logging.getLogger(__name__)


class SignInFailed(Exception):  # noqa: N818  # a finding about one sign-in; `str()` is for its user
    """Nobody was signed in."""


class IssuerUnavailable(SignInFailed):
    """The issuer cannot be reached, or does not speak OpenID Connect as configured."""


@dataclass(frozen=True, slots=True)
class OidcClient:
    """How this gateway is known to the issuer. `secret` is None for a public client."""

    issuer: str
    client_id: str
    secret: Secret | None
    portal_origin: str

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends people back to; registered there."""
        return self.portal_origin + CALLBACK_PATH


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what to remember until it comes back (never in the browser)."""

    url: str
    memory: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Issuer:
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    keys: UrlKeys
    names_itself: bool  # RFC 9207: the way back names the issuer


class OidcSignIn:
    """Signs people in at one issuer. What it publishes about itself is read at the first use, then hourly."""

    def __init__(self, client: OidcClient) -> None:
        self._client = client
        self._issuer: _Issuer | None = None
        self._issuer_until = 0.0
        self._discovering = asyncio.Lock()

    async def leave(self) -> Departure:
        """Begin a sign-in; raises `IssuerUnavailable`."""
        issuer = await self._discovered()
        memory = {name: secrets.token_urlsafe(32) for name in ("state", "nonce")}
        memory["code_verifier"] = secrets.token_urlsafe(48)  # 64 characters, RFC 7636 §4.1
        async with self._oauth() as oauth:
            url, _ = oauth.create_authorization_url(
                issuer.authorization_endpoint,
                state=memory["state"],
                nonce=memory["nonce"],
                code_verifier=memory["code_verifier"],
            )
        return Departure(str(url), memory)

    async def arrive(self, query: dict[str, str], memory: dict[str, Any]) -> Person:
        """Give the person that the issuer vouches for; raises `SignInFailed`."""
        issuer = await self._discovered()
        if not secrets.compare_digest(query.get("state", "").encode(), memory["state"].encode()):
            raise SignInFailed("This sign-in was not begun in this browser.")
        if query.get("iss", "" if issuer.names_itself else self._client.issuer) != self._client.issuer:
            raise SignInFailed("The answer came from another issuer.")
        if "error" in query or "code" not in query:
            raise SignInFailed("The sign-in was cancelled or refused there.")
        try:
            async with self._oauth() as oauth:
                token = await oauth.fetch_token(
                    issuer.token_endpoint,
                    grant_type="authorization_code",
                    code=query["code"],
                    code_verifier=memory["code_verifier"],
                )
                claims = await asyncio.to_thread(self._verified, issuer, token, memory["nonce"])
                if "email" not in claims and issuer.userinfo_endpoint:
                    claims = await self._with_userinfo(oauth, issuer.userinfo_endpoint, claims)
        except (AuthlibBaseError, PyJWTError, ValueError, KeyError, TypeError) as error:
            _log.warning("a sign-in failed at the issuer: %s", type(error).__name__)
            raise SignInFailed("The issuer's answer does not prove who you are.") from None
        except (httpx.HTTPError, KeysUnavailable) as error:
            _log.warning("the issuer does not answer: %s", type(error).__name__)
            raise IssuerUnavailable("The sign-in service does not answer. Try again in a minute.") from None
        return _person(claims)

    def _oauth(self) -> Any:
        return AsyncOAuth2Client(
            self._client.client_id,
            None if self._client.secret is None else self._client.secret.reveal(),
            token_endpoint_auth_method="none" if self._client.secret is None else "client_secret_basic",
            scope=SCOPE,
            redirect_uri=self._client.redirect_uri,
            code_challenge_method="S256",
            timeout=REQUEST_SECONDS,
            trust_env=False,
        )

    def _verified(self, issuer: _Issuer, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Check the ID token (OpenID Connect Core §3.1.3.7)."""
        id_token = token["id_token"]
        header = jwt.get_unverified_header(id_token)
        key = issuer.keys.key(str(header.get("kid")))
        if key is None or header.get("alg") not in ALGORITHMS:
            raise ValueError("the ID token's key or algorithm is not known")
        claims: dict[str, Any] = jwt.decode(
            id_token,
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
        return claims

    async def _with_userinfo(self, oauth: Any, endpoint: str, claims: dict[str, Any]) -> dict[str, Any]:
        answer = await oauth.get(endpoint)
        answer.raise_for_status()
        more: dict[str, Any] = answer.json()
        if more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
            raise ValueError("the user info is somebody else's")
        return more

    async def _discovered(self) -> _Issuer:
        async with self._discovering:
            if self._issuer is None or time.monotonic() >= self._issuer_until:
                try:
                    self._issuer = await self._discover()
                except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                    _log.warning("the issuer's configuration cannot be read: %s", type(error).__name__)
                    if self._issuer is None:
                        raise IssuerUnavailable(
                            "The sign-in service does not answer. Try again in a minute."
                        ) from None
                self._issuer_until = time.monotonic() + DISCOVERY_SECONDS
            return self._issuer

    async def _discover(self) -> _Issuer:
        url = self._client.issuer.rstrip("/") + "/.well-known/openid-configuration"
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as client:
            answer = await client.get(url)
        answer.raise_for_status()
        found = answer.json()
        if found["issuer"] != self._client.issuer:
            raise ValueError("it is another issuer's")
        endpoints = [found["authorization_endpoint"], found["token_endpoint"], found["jwks_uri"]]
        userinfo = found.get("userinfo_endpoint")
        scheme = urlsplit(self._client.issuer).scheme
        if any(
            urlsplit(endpoint).scheme not in {"https", scheme} for endpoint in [*endpoints, userinfo or url]
        ):
            raise ValueError("an endpoint is not https")
        return _Issuer(
            authorization_endpoint=endpoints[0],
            token_endpoint=endpoints[1],
            userinfo_endpoint=userinfo,
            keys=UrlKeys(endpoints[2]),
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )


def _person(claims: dict[str, Any]) -> Person:
    email = claims.get("email")
    canonical = canonical_email(email) if isinstance(email, str) else None
    if canonical is None or claims.get("email_verified", True) is not True:
        raise SignInFailed("The sign-in service names no verified email address for you.")
    return Person(canonical)
