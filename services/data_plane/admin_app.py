"""The operator's listener: liveness, readiness, metrics, what this process knows. Boxes never reach it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from services.data_plane.account.metrics import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from services.data_plane.account.metrics import Metrics
    from services.data_plane.table.config_table import ConfigTable

MAX_SHOWN_NACKS = 1_000


@dataclass(frozen=True, slots=True)
class AdminAppParts:
    """What the application needs. `ready` tells whether boxes should be sent here."""

    table: ConfigTable
    metrics: Metrics
    ready: Callable[[], bool]


def admin_app(parts: AdminAppParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="run9 AI Gateway admin", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> PlainTextResponse:
        """Ready once configuration is loaded, for good: no dependency is ever asked."""
        if parts.ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("no configuration yet, or shutting down\n", status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/debug/config")
    async def debug_config() -> dict[str, Any]:
        return _describe(parts.table)

    return app


def _describe(table: ConfigTable) -> dict[str, Any]:
    position, age = table.position, table.age_seconds
    nacks = [{"org": org, "provider": provider, "why": why} for (org, provider), why in table.nacks.items()]
    return {
        "epoch": position.epoch if position else None,
        "revision": position.revision if position else None,
        "age_seconds": age if math.isfinite(age) else None,
        "counts": table.counts(),
        "nacks": nacks[:MAX_SHOWN_NACKS],
        "nacks_in_all": len(nacks),
    }
