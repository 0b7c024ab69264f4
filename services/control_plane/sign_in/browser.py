"""People signed in by a browser: sessions by cookie, one-time tickets, and the Origin check.

A session or ticket is a random text held only by the browser; the database has its hash. A cookie alone
proves the browser's user, not the author of the page behind the request: every write with a cookie must
therefore come from a page of this very origin (threat row 24).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import Person
from services.control_plane.sign_in.record import SignInRecord
from services.control_plane.store import sessions
from services.control_plane.store.database import Database
from services.control_plane.store.sessions import TicketKind
from shared.clock import Clock

SESSION_SECONDS: Final = 12 * 3600
LINK_SECONDS: Final = 30 * 60
OIDC_SECONDS: Final = 10 * 60
TOKEN_BYTES: Final = 32
MAX_TOKEN_CHARS: Final = 128
SESSION_COOKIE: Final = "aigw-session"
OIDC_COOKIE: Final = "aigw-sign-in"
SIGNED_OUT_COOKIE: Final = "aigw-signed-out"
"""Says that this browser's last person has signed out: the issuer must ask who signs in next."""
SIGNED_OUT_SECONDS: Final = 30 * 24 * 3600
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


class BrowserSignIn:
    """Opens, finds and ends sessions. Thread-safe; calls block on the database.

    `portal_origin` is where people reach the Portal, e.g. `https://gateway.example`. Empty: wherever the
    request says, by plain http, which is right on loopback only.
    """

    def __init__(self, database: Database, clock: Clock, portal_origin: str) -> None:
        self._database = database
        self._clock = clock
        self._portal_origin = portal_origin
        self.record = SignInRecord(database, clock)

    def person(self, request: HTTPConnection) -> Person:
        """Give the person whose session the request shows.

        Raises:
            ProblemError: 401 without a live session, 403 for a write from another origin.
        """
        found = self.visitor(request)
        if found is None:
            raise ProblemError(
                Problem.SIGN_IN_REQUIRED,
                "Sign in to the Portal, or send Authorization: Bearer with a token.",
                headers={"WWW-Authenticate": 'Bearer realm="run9-ai-gateway"'},
            )
        if request.scope["method"] not in _SAFE_METHODS:
            self.require_same_origin(request)
        return found

    def visitor(self, request: HTTPConnection) -> Person | None:
        """Give the person, or None for a browser without a session."""
        token = self._cookie(request, SESSION_COOKIE)
        if not token:
            return None
        with self._database.read() as session:
            email = sessions.session_email(session, _hash(token), now=self._clock())
        return None if email is None else Person(email)

    def require_same_origin(self, request: HTTPConnection) -> None:
        """Refuse a request from a page of another origin; a browser always names the origin of a write."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") != self.origin(request) or site != "same-origin":
            raise ProblemError(
                Problem.CROSS_ORIGIN, "Only the Portal's own pages may do this with a session."
            )

    def origin(self, request: HTTPConnection) -> str:
        """Where this browser reaches the Portal."""
        return self._portal_origin or f"http://{request.headers.get('host', '')}"

    # -- sessions

    def sign_in(self, request: HTTPConnection, response: Response, person: Person) -> None:
        """Open a session and put its cookie into the response; the browser's previous session ends."""
        token, now = _new_token(), self._clock()
        with self._database.quiet_write() as session:
            if old := self._cookie(request, SESSION_COOKIE):
                sessions.end_session(session, _hash(old))
            sessions.add_session(
                session, _hash(token), person.email, now=now, expires_at=now + SESSION_SECONDS
            )
        self._set_cookie(response, SESSION_COOKIE, token, SESSION_SECONDS)
        if self.has_signed_out(request):
            self._set_cookie(response, SIGNED_OUT_COOKIE, "", 0)

    def end_session(self, request: HTTPConnection) -> None:
        """End the session of the request's browser."""
        if token := self._cookie(request, SESSION_COOKIE):
            with self._database.quiet_write() as session:
                sessions.end_session(session, _hash(token))

    def sign_out(self, response: Response) -> None:
        """Take the session's cookie out of the browser, and note there that somebody has signed out."""
        self._set_cookie(response, SESSION_COOKIE, "", 0)
        self._set_cookie(response, SIGNED_OUT_COOKIE, "yes", SIGNED_OUT_SECONDS)

    def has_signed_out(self, request: HTTPConnection) -> bool:
        """Whether somebody has signed out in this browser, and nobody has signed in since."""
        return bool(self._cookie(request, SIGNED_OUT_COOKIE))

    # -- one-time links

    def new_link_token(self, email: str) -> str:
        """Make the secret part of a one-time sign-in link, valid for `LINK_SECONDS`."""
        return self._new_ticket("link", {"email": email}, LINK_SECONDS)

    def use_link_token(self, token: str) -> Person | None:
        """Give the person of a link's token; None for a used, expired or unknown token."""
        ticket = self._use_ticket("link", token)
        return None if ticket is None else Person(ticket["email"])

    # -- sign-ins at an issuer that are under way

    def begin(self, response: Response, memory: Mapping[str, str]) -> None:
        """Remember a departure to the issuer's sign-in; only this browser can come back with the ticket."""
        token = self._new_ticket("oidc", memory, OIDC_SECONDS)
        self._set_cookie(response, OIDC_COOKIE, token, OIDC_SECONDS)

    def resume(self, request: HTTPConnection) -> dict[str, Any] | None:
        """Give the memory of `begin` for this browser, once; None when there is nothing."""
        token = self._cookie(request, OIDC_COOKIE)
        return self._use_ticket("oidc", token) if token else None

    def forget(self, response: Response) -> None:
        """Take the cookie of `begin` out of the browser."""
        self._set_cookie(response, OIDC_COOKIE, "", 0)

    # -- tickets and cookies

    def _new_ticket(self, kind: TicketKind, payload: Mapping[str, str], life_seconds: float) -> str:
        token = _new_token()
        with self._database.quiet_write() as session:
            sessions.add_ticket(session, _hash(token), kind, payload, now=self._clock(), life=life_seconds)
        return token

    def _use_ticket(self, kind: TicketKind, token: str) -> dict[str, Any] | None:
        # Anybody may come with a token of their own making: that must not cost everybody the write lock.
        with self._database.read() as session:
            if not sessions.has_ticket(session, _hash(token)):
                return None
        with self._database.quiet_write() as session:
            return sessions.use_ticket(session, _hash(token), kind, now=self._clock())

    @property
    def _is_secure(self) -> bool:
        return self._portal_origin.startswith("https://")

    def _cookie_name(self, name: str) -> str:
        # __Host-: no other host of the domain can set it, and no plain-http page (RFC 6265bis §4.1.3.2).
        return f"__Host-{name}" if self._is_secure else name

    def _cookie(self, request: HTTPConnection, name: str) -> str:
        token = request.cookies.get(self._cookie_name(name), "")
        return token if len(token) <= MAX_TOKEN_CHARS else ""

    def _set_cookie(self, response: Response, name: str, value: str, life_seconds: int) -> None:
        # Lax, not Strict: the way back from the issuer is a navigation that another site began.
        response.set_cookie(
            self._cookie_name(name),
            value,
            max_age=life_seconds,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _hash(token: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()
