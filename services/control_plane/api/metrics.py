"""`GET /metrics` of the fleet's listener: the numbers of this process for the operator's monitoring."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.control_plane.api.context import InContext
from shared.watched_metrics import CONTENT_TYPE_LATEST

router = APIRouter(tags=["metrics"])


@router.get("/metrics", operation_id="getMetrics")
async def get_metrics(context: InContext) -> Response:
    """Give every metric in the Prometheus text format; asks neither the database nor another server."""
    return Response(context.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
