"""The routes that every process answers to whoever runs it: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.requests import Request


def add_health_routes(
    app: Starlette,
    *,
    ready: Callable[[], Awaitable[bool]],
    not_ready: str,
    exposition: Callable[[], Awaitable[bytes]],
) -> None:
    """Add the three routes.

    Args:
        app: the application that answers.
        ready: tells whether requests may be sent to this process.
        not_ready: the sentence of the 503 while they may not.
        exposition: gives the metrics in Prometheus' text format.
    """

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        if await ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"{not_ready}\n", status_code=503)

    async def metrics(_request: Request) -> Response:
        return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)

    app.add_route("/livez", livez)
    app.add_route("/readyz", readyz)
    app.add_route("/metrics", metrics)
