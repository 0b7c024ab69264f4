"""The routes that every process answers to whoever runs it: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI


def add_health_routes(
    app: FastAPI,
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

    @app.get("/livez")
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> PlainTextResponse:
        if await ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"{not_ready}\n", status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)
