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
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import jwt
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.control_plane.sign_in.bearer import ALGORITHMS, CLOCK_SKEW_SECONDS, Person, verified_email
from services.control_plane.sign_in.bounded_transport import BoundedTransport
from services.control_plane.sign_in.issuer_configuration import ClientAuthMethod, IssuerConfiguration
from services.control_plane.sign_in.keys import KeySource, KeysUnavailable
from services.control_plane.sign_in.refused_claim import refused_address, refused_claim
from shared.secret import Secret

SCOPE: Final = "openid email"
REQUEST_SECONDS: Final = 10.0
DISCOVERY_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 5.0
"""After a failed discovery, whoever waited for the configuration is refused at once."""
SIGN_OUT_SECONDS: Final = 2.0
"""How long a sign-out waits to learn of the issuer's own sign-out; the session has ended by then."""
CALLBACK_PATH: Final = "/sign-in/callback"
SIGNED_OUT_PATH: Final = "/sign-in"
_PROMPT_REFUSED: Final = {"invalid_request", "account_selection_required", "interaction_required"}
# The hash of an algorithm's name halves into `at_hash` (OpenID Connect Core §3.1.3.6); Ed25519 uses SHA-512.
_HASH_OF: Final = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}

_log = logging.getLogger(__name__)


class SignInFailed(Exception):  # noqa: N818  # a finding about one sign-in; `str()` is for its user
    """The sign-in failed."""


class PromptRefused(SignInFailed):
    """The issuer does not know the `prompt` of this sign-in: `leave` again, without that prompt."""


class IssuerUnavailable(SignInFailed):
    """The issuer cannot be reached, or does not speak OpenID Connect as configured."""


@dataclass(frozen=True, slots=True)
class OidcClient:
    """How this gateway is known to the issuer. `secret` is None for a public client.

    Attributes:
        assume_email_verified: the operator vouches for the issuer's check of every address.
        auth_method: how the secret is shown; None: as the issuer says that it supports.
        signs_out_there: whether signing out of the Portal also ends the session at the issuer.
    """

    issuer: str
    client_id: str
    secret: Secret | None
    portal_origin: str
    assume_email_verified: bool = False
    auth_method: ClientAuthMethod | None = None
    signs_out_there: bool = True

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends people back to; registered there."""
        return self.portal_origin + CALLBACK_PATH

    @property
    def signed_out_uri(self) -> str:
        """Where the issuer sends people after a sign-out; registered there."""
        return self.portal_origin + SIGNED_OUT_PATH


@dataclass(frozen=True, slots=True)
class Departure:
    """The browser's destination, and the memory for the return (never in the browser)."""

    url: str
    memory: dict[str, str]


class _Token(BaseModel):
    """The token endpoint's answer for a code."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    id_token: str = Field(repr=False)
    access_token: str = Field(repr=False)


@dataclass(frozen=True, slots=True)
class _Issuer:
    jwks_uri: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    auth_method: str
    prompts: tuple[str, ...]  # those of `PROMPTS` that it may know
    keys: KeySource
    names_itself: bool  # RFC 9207: the way back names the issuer


class OidcSignIn:
    """Signs people in at a single issuer.

    The issuer's published configuration is read at the first use, then hourly. `transport` makes the way to
    the issuer, `keys_at` the source of its keys at a URL; `monotonic` gives seconds that never go back.
    """

    def __init__(
        self,
        client: OidcClient,
        *,
        transport: Callable[[], httpx.AsyncBaseTransport],
        keys_at: Callable[[str], KeySource],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._transport = transport
        self._keys_at = keys_at
        self._issuer: _Issuer | None = None
        self._issuer_until = 0.0
        self._retry_at = 0.0
        self._monotonic = monotonic
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

    async def leave(self, *, ask_who: bool = False, refused_prompt: str = "") -> Departure:
        """Begin a sign-in; raises `IssuerUnavailable`.

        `ask_who` has the issuer ask who signs in, although somebody may be signed in there; by another
        `prompt` than the one that the issuer has refused.
        """
        issuer = await self._discovered()
        memory = {name: secrets.token_urlsafe(32) for name in ("state", "nonce")}
        memory["code_verifier"] = secrets.token_urlsafe(48)  # 64 characters, RFC 7636 §4.1
        prompt = _next_prompt(issuer.prompts, refused_prompt) if ask_who else ""
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
            **({"prompt": prompt} if prompt else {}),
        )
        return Departure(str(url), memory | {"prompt": prompt})

    async def sign_out_url(self) -> str | None:
        """Give where to send a browser that has signed out here; None: its session there goes on.

        Without `id_token_hint`, for which every ID token would have to be kept: the issuer asks the person
        in its place (OpenID Connect RP-Initiated Logout §2).
        """
        if not self._client.signs_out_there:
            return None
        try:
            async with asyncio.timeout(SIGN_OUT_SECONDS):
                endpoint = (self._issuer or await self._discovered()).end_session_endpoint
        except (IssuerUnavailable, TimeoutError):
            return None
        if endpoint is None:
            return None
        query = {
            "client_id": self._client.client_id,
            "post_logout_redirect_uri": self._client.signed_out_uri,
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def arrive(self, query: dict[str, str], memory: dict[str, Any]) -> Person:
        """Give the person vouched for by the issuer; raises `SignInFailed`, or its `PromptRefused`."""
        issuer = await self._discovered()
        if not secrets.compare_digest(query.get("state", "").encode(), memory["state"].encode()):
            raise SignInFailed("This sign-in was not begun in this browser.")
        if query.get("iss", "" if issuer.names_itself else self._client.issuer) != self._client.issuer:
            raise SignInFailed("The answer came from another issuer.")
        if memory.get("prompt") and query.get("error") in _PROMPT_REFUSED:
            raise PromptRefused("The issuer does not ask who signs in that way.")
        if "error" in query or "code" not in query:
            raise SignInFailed("The sign-in was cancelled or refused there.")
        try:
            async with self._http() as http:
                token = await self._exchange(http, issuer, query["code"], memory["code_verifier"])
                claims = await asyncio.to_thread(self._verified, issuer, token, memory["nonce"])
                if not {"email", "email_verified"} <= claims.keys() and issuer.userinfo_endpoint:
                    claims = await self._with_userinfo(http, issuer.userinfo_endpoint, token, claims)
        except (PyJWTError, ValueError, RecursionError) as error:
            _log.warning("a sign-in is refused: %s", _refusal(error))
            raise SignInFailed("The issuer's answer does not prove who you are.") from None
        except (httpx.HTTPError, httpx.InvalidURL, KeysUnavailable) as error:
            _log.warning("the issuer does not answer: %s", type(error).__name__)
            raise IssuerUnavailable("The sign-in service does not answer. Try again in a minute.") from None
        return self._person(claims)

    def _person(self, claims: dict[str, Any]) -> Person:
        email = verified_email(claims, assume_verified=self._client.assume_email_verified)
        if email is None:
            why = refused_address(claims.get("email"), claims.get("email_verified"))
            _log.warning("a sign-in is refused: %s", why)
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
        auth = self._client_auth(issuer.auth_method, secret)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        _, headers, body = auth.prepare("POST", issuer.token_endpoint, headers, body)
        answer = await http.post(issuer.token_endpoint, content=body, headers=headers)
        if answer.is_server_error:
            answer.raise_for_status()
        if answer.status_code != httpx.codes.OK:
            raise ValueError(
                f"the token endpoint does not take the code, or the client ({answer.status_code})"
            )
        return _Token.model_validate_json(answer.content)

    def _client_auth(self, method: str, secret: Secret | None) -> ClientAuth:
        client_id = self._client.client_id
        if secret is None:
            return ClientAuth(client_id, None, "none")
        if method == "client_secret_basic":
            # RFC 6749 §2.3.1: each is form-encoded before the two are joined; Authlib leaves that to us.
            return ClientAuth(quote_plus(client_id), quote_plus(secret.reveal()), method)
        return ClientAuth(client_id, secret.reveal(), method)

    def _verified(self, issuer: _Issuer, token: _Token, nonce: str) -> dict[str, Any]:
        """Check the ID token (OpenID Connect Core §3.1.3.7)."""
        header = jwt.get_unverified_header(token.id_token)
        key = issuer.keys.key(str(header.get("kid")))
        if key is None or header.get("alg") not in ALGORITHMS:
            raise ValueError("the ID token's key (kid) or algorithm (alg) is not known")
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
            raise ValueError("the ID token was made for another sign-in (claim nonce)")
        if claims.get("azp", self._client.client_id) != self._client.client_id:
            raise ValueError("the ID token was made for another client (claim azp)")
        if "at_hash" in claims and claims["at_hash"] != _at_hash(header["alg"], token.access_token):
            raise ValueError("the access token is not the ID token's own (claim at_hash)")
        return claims

    async def _with_userinfo(
        self, http: httpx.AsyncClient, endpoint: str, token: _Token, claims: dict[str, Any]
    ) -> dict[str, Any]:
        answer = await http.get(endpoint, headers={"Authorization": f"Bearer {token.access_token}"})
        answer.raise_for_status()
        more = answer.json()
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
            raise ValueError("the user info is somebody else's (claim sub)")
        # Never a mixture: whether an address is verified is said by whoever names the address.
        return more if "email" in more else claims

    async def _discovered(self) -> _Issuer:
        async with self._discovering:
            now = self._monotonic()
            if self._issuer is not None and now < self._issuer_until:
                return self._issuer
            if now >= self._retry_at:
                try:
                    self._issuer = await self._discover()
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    _log.warning("the issuer's configuration cannot be read: %s", _reason(error))
                    self._retry_at = self._monotonic() + RETRY_SECONDS
                self._issuer_until = self._monotonic() + DISCOVERY_SECONDS
            if self._issuer is None:
                raise IssuerUnavailable("The sign-in service does not answer. Try again in a minute.")
            return self._issuer

    async def _discover(self) -> _Issuer:
        url = self._client.issuer.rstrip("/") + "/.well-known/openid-configuration"
        async with self._http() as http:
            answer = await http.get(url)
        answer.raise_for_status()
        found = IssuerConfiguration.model_validate_json(answer.content)
        if found.issuer != self._client.issuer:
            raise ValueError("it is another issuer's")
        found.require_https()
        known, before = self._client, self._issuer
        # The keys at hand outlive an outage of their URL, so a new source begins only at a new URL.
        is_same_place = before is not None and before.jwks_uri == found.jwks_uri
        keys = before.keys if before is not None and is_same_place else self._keys_at(found.jwks_uri)
        return _Issuer(
            jwks_uri=found.jwks_uri,
            authorization_endpoint=found.authorization_endpoint,
            token_endpoint=found.token_endpoint,
            userinfo_endpoint=found.userinfo_endpoint,
            end_session_endpoint=found.end_session_endpoint,
            auth_method="none" if known.secret is None else known.auth_method or found.secret_method(),
            prompts=found.prompts(),
            keys=keys,
            names_itself=found.authorization_response_iss_parameter_supported,
        )


def _next_prompt(prompts: tuple[str, ...], refused: str) -> str:
    """Give the first `prompt`, or the one after that which was refused; empty when there is none."""
    return next(iter(prompts[prompts.index(refused) + 1 :] if refused in prompts else prompts), "")


def _refusal(error: Exception) -> str:
    """Say which claim or part an answer is refused for; never in the words of the answer."""
    if isinstance(error, PyJWTError):
        return f"the ID token's {refused_claim(error)}"
    return _reason(error)


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
