"""The Portal's routes: pages, static files, and the steps of signing in and out. Everything else is REST."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from services.control_plane.portal.attempt_limit import AttemptLimit
from services.control_plane.portal.headers import page_headers, static_headers
from services.control_plane.portal.shell import PageName, SignInWay, page
from services.control_plane.portal.static_files import StaticFiles
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import Person
from services.control_plane.sign_in.browser import MAX_TOKEN_CHARS, BrowserSignIn
from services.control_plane.sign_in.oidc import (
    CALLBACK_PATH,
    IssuerUnavailable,
    OidcSignIn,
    PromptRefused,
    SignInFailed,
)

SIGN_IN_PATH: Final = "/sign-in"
PAGES: Final[dict[str, PageName]] = {
    "/": "orgs",
    "/orgs/{org}/ai-integrations": "integrations",
    "/orgs/{org}/members": "members",
    "/orgs/{org}/history": "history",
}
# Addresses that people guess or shorten, and the page that is meant.
LEADS_ON: Final = {
    "/orgs": "/",
    "/orgs/": "/",
    "/orgs/{org}": "/orgs/{org}/ai-integrations",
    "/orgs/{org}/": "/orgs/{org}/ai-integrations",
    "/orgs/{org}/settings": "/orgs/{org}/ai-integrations",
    "/orgs/{org}/ai-integrations/": "/orgs/{org}/ai-integrations",
    "/orgs/{org}/members/": "/orgs/{org}/members",
    "/orgs/{org}/history/": "/orgs/{org}/history",
    "/login": "/sign-in",
    "/sign-in/": "/sign-in",
}
_NOT_PAGES: Final = ("/api/", "/internal/", "/static/", "/livez", "/readyz", "/metrics")
NotFoundPage = Callable[[Request], Response | None]
# Where a person may be taken after signing in: a page of ours, nothing that a browser reads as another host.
_OWN_PAGE = re.compile(r"/(?:orgs/[A-Za-z0-9._:@%-]{1,256}/(?:ai-integrations|members|history))?")

DEPARTURES_AT_A_TIME: Final = 4
"""How many threads note departures: anybody may depart without end, and other requests need threads too."""
_BY_THE_PERSON: Final = {"same-origin", "none"}
"""The browser's mark for a navigation begun by our own page or by the person (`Sec-Fetch-Site`)."""


class LinkToken(BaseModel):
    """The secret part of a one-time link."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: str = Field(min_length=1, max_length=MAX_TOKEN_CHARS)


def mount_portal(app: FastAPI, browser: BrowserSignIn, oidc: OidcSignIn | None) -> NotFoundPage:
    """Add the Portal to the application; give the handler for a browser at an unknown address.

    `oidc` is None with one-time links as the only way in.
    """
    portal = _Portal(browser, oidc, StaticFiles.read(), AttemptLimit(time.monotonic))
    router = APIRouter(include_in_schema=False)
    for path in PAGES:
        router.add_api_route(path, portal.show, methods=["GET"])
    for path in LEADS_ON:
        router.add_api_route(path, portal.lead_on, methods=["GET"])
    router.add_api_route("/static/{version}/{name}", portal.static, methods=["GET"])
    router.add_api_route(SIGN_IN_PATH, portal.show_sign_in, methods=["GET"])
    router.add_api_route(f"{SIGN_IN_PATH}/start", portal.leave, methods=["GET"])
    router.add_api_route(CALLBACK_PATH, portal.arrive, methods=["GET"])
    router.add_api_route(f"{SIGN_IN_PATH}/link", portal.use_link, methods=["POST"])
    router.add_api_route("/sign-out", portal.sign_out, methods=["POST"])
    app.include_router(router)
    return portal.not_found


@dataclass(frozen=True, slots=True)
class _Portal:
    browser: BrowserSignIn
    oidc: OidcSignIn | None
    static_files: StaticFiles
    limit: AttemptLimit
    departing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DEPARTURES_AT_A_TIME))

    # -- pages and files

    async def show(self, request: Request) -> Response:
        """A page, or for a browser without a session the way to the sign-in."""
        if await run_in_threadpool(self.browser.visitor, request) is None:
            return self._redirect(request, f"{SIGN_IN_PATH}?to={quote(request.url.path, safe='')}")
        return self._page(request, PAGES[request.scope["route"].path])

    async def lead_on(self, request: Request) -> Response:
        """Take people from a guessed or shortened address to the intended page."""
        pattern = LEADS_ON[request.scope["route"].path]
        org = request.path_params.get("org", "")
        return self._redirect(request, pattern.format(org=quote(org, safe="")))

    def not_found(self, request: Request) -> Response | None:
        """Give the page for an unknown address; None for whoever is no browser, or asks for REST."""
        path, accepted = request.url.path, request.headers.get("accept", "")
        if request.method != "GET" or "text/html" not in accepted or path.startswith(_NOT_PAGES):
            return None
        return self._page(request, "not-found", status=404)

    async def show_sign_in(self, request: Request) -> Response:
        """The sign-in page."""
        return self._page(request, "sign-in")

    async def static(self, request: Request, version: str, name: str) -> Response:
        """A static file."""
        file = self.static_files.by_name.get(name)
        if file is None or version != self.static_files.version:
            raise ProblemError(Problem.NOT_FOUND, "There is no such file.")
        headers = {**static_headers(), "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.gzipped, media_type=file.media_type, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    # -- signing in and out

    async def leave(self, request: Request, to: str = "/") -> Response:
        """Send the browser to the issuer. A foreign page may only lead to the page with the sign-in."""
        own_page = to if _OWN_PAGE.fullmatch(to) else "/"
        # Else any page could replace a sign-in that is under way. A departure is no attempt: it guesses
        # nothing, and counted ones would lock out whoever shares the visitor's address.
        if request.headers.get("sec-fetch-site", "none") not in _BY_THE_PERSON:
            return self._redirect(request, f"{SIGN_IN_PATH}?to={quote(own_page, safe='')}")
        if self.oidc is None:
            return self._redirect(request, SIGN_IN_PATH)
        return await self._depart(request, self.oidc, own_page)

    async def _depart(
        self, request: Request, oidc: OidcSignIn, own_page: str, refused_prompt: str = ""
    ) -> Response:
        try:
            departure = await oidc.leave(
                ask_who=self.browser.has_signed_out(request), refused_prompt=refused_prompt
            )
        except IssuerUnavailable:
            return self._redirect(request, f"{SIGN_IN_PATH}?failed=unavailable")
        memory = {**departure.memory, "to": own_page}
        response = self._redirect(request, departure.url)
        async with self.departing:
            await run_in_threadpool(self.browser.begin, response, memory)
        return response

    async def arrive(self, request: Request) -> Response:
        """Take the browser back from the issuer, and open its session.

        A browser without a departure has no ticket, and learns nothing by trying.
        """
        memory = await run_in_threadpool(self.browser.resume, request)
        if self.oidc is None or memory is None:
            return self._redirect(request, f"{SIGN_IN_PATH}?failed=expired")
        try:
            person = await self.oidc.arrive(dict(request.query_params), memory)
        except PromptRefused:
            return await self._depart(request, self.oidc, memory["to"], memory["prompt"])
        except IssuerUnavailable:
            response = self._redirect(request, f"{SIGN_IN_PATH}?failed=unavailable")
        except SignInFailed as error:
            response = self._redirect(request, f"{SIGN_IN_PATH}?failed=refused")
            await run_in_threadpool(self.browser.record.refused, str(error), "oidc", _address(request))
        else:
            response = self._redirect(request, memory["to"])
            await self._open_session(request, response, person, "oidc")
        self.browser.forget(response)
        return response

    async def use_link(self, request: Request, body: LinkToken) -> Response:
        """Open a session by a one-time link. Only our own page may ask: nobody is signed in unawares."""
        # Before it counts: a page elsewhere must not use up its visitors' attempts.
        self.browser.require_same_origin(request)
        self._count_attempt(request)
        person = await run_in_threadpool(self.browser.use_link_token, body.token)
        if person is None:
            refusal = "This link was used already, or is too old."
            await run_in_threadpool(self.browser.record.refused, refusal, "link", _address(request))
            raise ProblemError(Problem.SIGN_IN_REQUIRED, refusal)
        response = Response(status_code=204, headers=self._headers(request))
        await self._open_session(request, response, person, "link")
        self.limit.forgive(_address(request))  # many people may sit behind one address; only guesses count
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session. The answer says where the page goes on to, where the issuer has a sign-out too."""
        self.browser.require_same_origin(request)
        # Before the issuer is asked: an issuer without an answer must keep no session alive.
        await run_in_threadpool(self.browser.end_session, request)
        there = None if self.oidc is None else await self.oidc.sign_out_url()
        response: Response = Response(status_code=204, headers=self._headers(request))
        if there is not None:
            response = JSONResponse({"continue_at": there}, headers=self._headers(request))
        self.browser.sign_out(response)
        return response

    async def _open_session(
        self, request: Request, response: Response, person: Person, way: SignInWay
    ) -> None:
        await run_in_threadpool(self.browser.sign_in, request, response, person)
        await run_in_threadpool(self.browser.record.signed_in, person.email, way, _address(request))

    # -- answers

    def _count_attempt(self, request: Request) -> None:
        wait = self.limit.wait_seconds(_address(request))
        if wait > 0:
            raise ProblemError(
                Problem.TOO_MANY_SIGN_INS,
                "Wait a moment, then try again.",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    def _page(self, request: Request, name: PageName, status: int = 200) -> Response:
        way: SignInWay = "link" if self.oidc is None else "oidc"
        return HTMLResponse(page(self.static_files, name, way), status, headers=self._headers(request))

    def _redirect(self, request: Request, url: str) -> Response:
        return RedirectResponse(url, 303, headers=self._headers(request))

    def _headers(self, request: Request) -> dict[str, str]:
        return page_headers(secure=self.browser.origin(request).startswith("https://"))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
