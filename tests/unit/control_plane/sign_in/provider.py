"""An OpenID provider in memory: honest, until a test changes one of its fields."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from services.control_plane.sign_in.bearer import Person
from services.control_plane.sign_in.issuer_configuration import ClientAuthMethod
from services.control_plane.sign_in.oidc import OidcClient, OidcSignIn
from shared.secret import Secret
from tests.unit.control_plane.world import OWNER, Issuer

URL: Final = "https://login.test"
CLIENT_ID: Final = "portal"
CLIENT_SECRET: Final = "client-secret-of-tests"
ACCESS_TOKEN: Final = "access-token-of-tests"
CODE: Final = "code-of-tests"
Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Provider:
    """The provider's answers. Each field changed by a test is one way to be wrong.

    Attributes:
        configuration: the answer of discovery; a test may add or replace members.
        claims: changes to the ID token's claims; None leaves a claim out.
        user: the answer of user info.
        answers: answers in place of the honest answers, by path.
        sign: signs the ID token in place of the issuer.
        asked: the paths of all requests.
    """

    issuer: Issuer = field(default_factory=Issuer)
    configuration: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    keys_asked_at: list[str] = field(default_factory=list)
    sign: Callable[[dict[str, Any]], str] | None = None
    _challenge: str = ""
    _nonce: str = ""

    def client(
        self,
        *,
        secret: str | None = CLIENT_SECRET,
        assume_email_verified: bool = False,
        auth_method: ClientAuthMethod | None = None,
        signs_out_there: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> OidcSignIn:
        """The gateway, registered here."""
        known = OidcClient(
            URL,
            CLIENT_ID,
            None if secret is None else Secret(secret),
            "https://portal.test",
            assume_email_verified=assume_email_verified,
            auth_method=auth_method,
            signs_out_there=signs_out_there,
        )
        return OidcSignIn(
            known,
            transport=lambda: httpx.MockTransport(self._answer),
            keys_at=self._keys_at,
            monotonic=monotonic,
        )

    async def sign_in(self, gateway: OidcSignIn, **query: str) -> Person:
        """Go to the provider and come back; `query` changes the query of the way back."""
        departure = await gateway.leave()
        sent = self.authorize(departure.url)
        return await gateway.arrive(sent | query, departure.memory)

    def authorize(self, url: str) -> dict[str, str]:
        """Sign somebody in; give the query of the way back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["redirect_uri"] == "https://portal.test/sign-in/callback"
        self._challenge, self._nonce = query["code_challenge"], query["nonce"]
        return {"code": CODE, "state": query["state"]}

    def _keys_at(self, url: str) -> Issuer:
        self.keys_asked_at.append(url)
        return self.issuer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path](request)
        match path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self._published())
            case "/token":
                return self._token(request)
            case "/me":
                assert request.headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
                return httpx.Response(200, json=self.user)
            case _:
                raise AssertionError(path)

    def _published(self) -> dict[str, Any]:
        honest = {
            "issuer": URL,
            "authorization_endpoint": f"{URL}/auth",
            "token_endpoint": f"{URL}/token",
            "userinfo_endpoint": f"{URL}/me",
            "jwks_uri": f"{URL}/jwks",
        }
        return honest | self.configuration

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        verifier = form.get("code_verifier", "").encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if form.get("code") != CODE or challenge != self._challenge:  # RFC 7636 §4.6
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(
            200, json={"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.id_token()}
        )

    def id_token(self) -> str:
        """Sign this provider's claims about the person just signed in."""
        now = int(time.time())  # noqa: TID251  # PyJWT reads the real clock
        claims = {"iss": URL, "aud": CLIENT_ID, "sub": "ada", "email": OWNER, "email_verified": True}
        claims |= {"iat": now, "exp": now + 60, "nonce": self._nonce} | self.claims
        said = {name: value for name, value in claims.items() if value is not None}
        return self.sign(said) if self.sign else self.issuer.signed(json.dumps(said).encode())


def at_hash(access_token: str) -> str:
    """As OpenID Connect Core §3.1.3.6 says for ES256."""
    return base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()
