"""The operator's listener: liveness, readiness, metrics, the process's knowledge.

Boxes never reach this listener. A route belongs to the control plane: the test of a stored key, opened by
the fleet's token.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response

from shared.bounded_body import read_body
from shared.health_routes import add_health_routes
from shared.key_test import (
    KEY_TESTS_PATH,
    MAX_KEY_TEST_BYTES,
    KeyTestError,
    decode_key_test_request,
    encode_key_test_response,
)
from shared.secret import Secret

if TYPE_CHECKING:
    from starlette.requests import Request

    from services.data_plane.account.metrics import Metrics
    from services.data_plane.key_test.stored_keys import StoredKeyTests
    from services.data_plane.table.config_table import ConfigTable

MAX_SHOWN_UNUSABLE_SECRETS: Final = 1_000


@dataclass(frozen=True, slots=True)
class AdminAppParts:
    """The parts used by the application. `ready` tells whether boxes should be sent here.

    Without an `internal_token` all key tests are refused.
    """

    table: ConfigTable
    metrics: Metrics
    ready: Callable[[], bool]
    key_tests: StoredKeyTests
    internal_token: Secret


def admin_app(parts: AdminAppParts) -> Starlette:
    """Build the application."""
    app = Starlette()

    async def ready() -> bool:
        """Ready once configuration is loaded, for good: no dependency is ever asked."""
        return parts.ready()

    async def exposition() -> bytes:
        return parts.metrics.exposition()

    add_health_routes(
        app, ready=ready, not_ready="no configuration yet, or shutting down", exposition=exposition
    )

    async def debug_config(_request: Request) -> Response:
        return JSONResponse(_describe(parts.table))

    async def trial(request: Request) -> Response:
        """Try a stored key; for the control plane alone."""
        if not _shows(request.headers.get("authorization", ""), parts.internal_token):
            head = {"www-authenticate": "Bearer"}
            return PlainTextResponse("this needs the fleet's token\n", status_code=401, headers=head)
        body = await read_body(request, MAX_KEY_TEST_BYTES)
        if body is None:
            return PlainTextResponse("too large\n", status_code=413)
        try:
            asked = decode_key_test_request(body)
        except KeyTestError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        answer = encode_key_test_response(await parts.key_tests.answer(asked))
        return Response(answer, media_type="application/json", headers={"cache-control": "no-store"})

    app.add_route("/debug/config", debug_config)
    app.add_route(KEY_TESTS_PATH, trial, methods=["POST"])
    return app


def _shows(authorization: str, token: Secret) -> bool:
    """Whether the header carries the token; compared in constant time."""
    scheme, _, text = authorization.partition(" ")
    return bool(token) and scheme.lower() == "bearer" and Secret(text) == token


def _describe(table: ConfigTable) -> dict[str, Any]:
    position, age = table.position, table.age_seconds
    unusable = [
        {"org": org, "provider": provider, "why": why} for (org, provider), why in table.unusable.items()
    ]
    return {
        "epoch": position.epoch if position else None,
        "revision": position.revision if position else None,
        "age_seconds": age if math.isfinite(age) else None,
        "counts": table.counts(),
        "unusable_secrets": unusable[:MAX_SHOWN_UNUSABLE_SECRETS],
        "unusable_secrets_in_all": len(unusable),
    }
