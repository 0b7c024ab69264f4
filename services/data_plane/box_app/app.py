"""The box listener's own answers: the status page, the set-up script, and 404 for everything else.

The relay has already judged `Host` and `Origin` when a request comes here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.data_plane.box_app.setup_script import read_script, script_for
from services.data_plane.box_app.status import ProviderStatus, Status, as_json, as_text, provider_status
from services.data_plane.box_app.status_page import POLICY, as_html
from services.data_plane.core.answers import write_rejection
from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.refused import Refused
from services.data_plane.core.unidentified import Unidentified
from shared.providers import LOCAL_ORIGIN, Provider, ProviderName
from shared.rejections import Place, Rejection

if TYPE_CHECKING:
    from starlette.requests import Request

    from services.data_plane.account.last_errors import LastError
    from services.data_plane.core.integration import NotReady
    from shared.box_token import Box
    from shared.config_feed import OrgRow

STATUS_PATH: Final = "/run9/ai/"
SETUP_PATH: Final = "/run9/ai/setup.sh"
TOKEN_HEADER: Final = "x-run9-box-token"  # noqa: S105  # a header's name
_FRESH: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Identity(Protocol):
    """Which box is calling."""

    def identify(self, token: bytes | None) -> Box:
        """Give the box, or raise `Unidentified`."""
        ...


class Table(Protocol):
    """The configuration, as far as open to a box."""

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        """Give the integration, or why there is none."""
        ...

    def org(self, org: str) -> OrgRow | None:
        """Give the org's name and owners."""
        ...


@dataclass(frozen=True, slots=True)
class BoxAppParts:
    """The parts used by the application.

    `authorities` are the `Host` values under which boxes may know the gateway; `providers` are the offered
    providers; `last_error` gives an org's last provider error, `is_key_rejected` whether the last verdict on
    its key was a refusal; `portal` is the Portal's origin, "" where the operator has set none.
    """

    table: Table
    last_error: Callable[[str, str], LastError | None]
    authorities: frozenset[bytes]
    providers: tuple[Provider, ...]
    is_key_rejected: Callable[[str, str, int], bool] = lambda _org, _provider, _version: False
    portal: str = ""


def box_app(parts: BoxAppParts) -> Starlette:
    """Build the application."""
    app = Starlette()
    app.router.redirect_slashes = False
    script = read_script(parts.providers)

    async def status(request: Request) -> Response:
        return _status_answer(parts, request)

    async def setup(request: Request) -> Response:
        text = script_for(script, _origin(parts, request))
        return Response(text, media_type="text/x-shellscript; charset=utf-8", headers=_FRESH)

    async def not_found(_request: Request, _error: Exception) -> Response:
        return _rejected(Refused(Rejection.NOT_FOUND), wants_json=True)

    for path in (STATUS_PATH, STATUS_PATH.rstrip("/")):
        app.add_route(path, status)
    app.add_route(SETUP_PATH, setup)
    app.add_exception_handler(HTTPException, not_found)
    return app


def _status_answer(parts: BoxAppParts, request: Request) -> Response:
    accepted = request.headers.get("accept", "")
    wants_json = "application/json" in accepted
    try:
        box = _identity(request).identify(_token(request))
    except Unidentified as error:
        return _rejected(Refused(*error.rejection), wants_json=wants_json)
    status = _status_of(parts, box, _origin(parts, request))
    if wants_json:
        return Response(json.dumps(as_json(status), indent=2), media_type="application/json", headers=_FRESH)
    if "text/html" in accepted:  # a browser; curl and agents get the text
        headers = _FRESH | {"content-security-policy": POLICY}
        return Response(as_html(status), media_type="text/html; charset=utf-8", headers=headers)
    return Response(as_text(status), media_type="text/plain", headers=_FRESH)


def _identity(request: Request) -> Identity:
    """Give the identity of the request's connection, handed over by the relay."""
    identity: Identity = request.state.identity
    return identity


def _token(request: Request) -> bytes | None:
    tokens = request.headers.getlist(TOKEN_HEADER)
    if len(tokens) > 1:
        raise Unidentified("more than one box token")
    return tokens[0].encode("latin-1") if tokens else None


def _status_of(parts: BoxAppParts, box: Box, origin: str) -> Status:
    org = parts.table.org(box.org)
    providers = tuple(_status_of_provider(parts, box, provider, origin) for provider in parts.providers)
    return Status(box, org.name if org else "", org.owners if org else (), origin, providers, parts.portal)


def _status_of_provider(parts: BoxAppParts, box: Box, provider: Provider, origin: str) -> ProviderStatus:
    found = parts.table.look_up(box.org, provider.name)
    version = found.secret_version if isinstance(found, CompiledIntegration) else 0
    return provider_status(
        provider,
        found,
        origin=origin,
        last_error=parts.last_error(box.org, provider.name),
        portal=parts.portal,
        is_key_rejected=parts.is_key_rejected(box.org, provider.name, version),
    )


def _origin(parts: BoxAppParts, request: Request) -> str:
    """The origin used by the box, if among our authorities."""
    host = request.headers.get("host", "").lower()
    return f"http://{host}" if host.encode("latin-1") in parts.authorities else LOCAL_ORIGIN


def _rejected(refused: Refused, *, wants_json: bool) -> Response:
    """Answer as the relay would: a single table of rejections, a single way of writing."""
    request_id = f"req_{secrets.token_hex(12)}"
    written = write_rejection(refused, None, Place(), request_id, bodiless=False, close=False)
    head, _, body = written.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines) | _FRESH
    status = int(status_line.split(" ")[1])
    if wants_json:
        return Response(body, status, headers)
    for name in ("content-type", "content-length"):
        del headers[name]
    message = json.loads(body)["error"]["message"]
    return Response(f"run9 AI Gateway\n\n{message}\n", status, headers, media_type="text/plain")
