"""Every process's answers about its health."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from shared.health_routes import add_health_routes


def application(*, is_ready: bool) -> Starlette:
    async def ready() -> bool:
        return is_ready

    async def exposition() -> bytes:
        return b"aigw_up 1\n"

    app = Starlette()
    add_health_routes(app, ready=ready, not_ready="no configuration yet", exposition=exposition)
    return app


@pytest.mark.parametrize(
    ("is_ready", "status", "text"), [(True, 200, "ready\n"), (False, 503, "no configuration yet\n")]
)
async def test_readiness_is_a_sentence_with_its_status(*, is_ready: bool, status: int, text: str) -> None:
    transport = httpx.ASGITransport(application(is_ready=is_ready))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        found = await client.get("/readyz")
        assert (found.status_code, found.text) == (status, text)
        assert (await client.get("/livez")).text == "ok\n"
        metrics = await client.get("/metrics")
    assert (metrics.text, metrics.headers["content-type"].split(";")[0]) == ("aigw_up 1\n", "text/plain")
