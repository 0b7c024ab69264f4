"""The admin listener of a data plane with several workers: a single answer on behalf of all workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response

from shared.bounded_body import read_body
from shared.health_routes import add_health_routes
from shared.key_test import KEY_TESTS_PATH, MAX_KEY_TEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from services.data_plane.workers.exposition import WorkersExposition
    from services.data_plane.workers.process import LocalWorker
    from services.data_plane.workers.supervisor import Supervisor


_KEPT: Final = ("content-type", "cache-control", "www-authenticate")


@dataclass(frozen=True, slots=True)
class WorkersAdminParts:
    """The parts used by the application: the supervisor, its workers by identity, the summed metrics."""

    supervisor: Supervisor
    workers: Callable[[], dict[int, LocalWorker]]
    exposition: WorkersExposition


def workers_admin_app(parts: WorkersAdminParts) -> Starlette:
    """Build the application."""
    app = Starlette()

    async def exposition() -> bytes:
        texts = await _ask_all(parts.workers(), "/metrics")
        return parts.exposition.merge(texts) + _own_metrics(parts.supervisor)

    add_health_routes(
        app,
        ready=parts.supervisor.is_ready,
        not_ready="no worker has its configuration, or shutting down",
        exposition=exposition,
    )

    async def debug_config(_request: Request) -> Response:
        texts = await _ask_all(parts.workers(), "/debug/config")
        return Response(f'{{"workers":[{",".join(texts.values())}]}}', media_type="application/json")

    async def key_test(request: Request) -> Response:
        """Hand a key test on to a worker, which checks the fleet's token itself."""
        body = await read_body(request, MAX_KEY_TEST_BYTES)
        if body is None:
            return PlainTextResponse("too large\n", status_code=413)
        shown = request.headers.get("authorization")
        return await _forward(parts, body, {} if shown is None else {"authorization": shown})

    app.add_route("/debug/config", debug_config)
    app.add_route(KEY_TESTS_PATH, key_test, methods=["POST"])
    return app


async def _ask_all(workers: dict[int, LocalWorker], path: str) -> dict[int, str]:
    answers = await asyncio.gather(*(worker.get(path) for worker in workers.values()))
    pairs = zip(workers, answers, strict=True)
    return {identity: answer.text for identity, answer in pairs if answer is not None and answer.is_success}


async def _forward(parts: WorkersAdminParts, body: bytes, headers: dict[str, str]) -> Response:
    for worker in parts.workers().values():
        if not await worker.is_ready():
            continue
        answer = await worker.forward(KEY_TESTS_PATH, body, headers)
        if answer is not None:
            kept = {
                name: answer.headers[name]
                for name in ("content-type", "cache-control")
                if name in answer.headers
            }
            return Response(answer.content, status_code=answer.status_code, headers=kept)
    return PlainTextResponse("no worker is ready\n", status_code=503)


def _own_metrics(supervisor: Supervisor) -> bytes:
    lines = (
        "# HELP aigw_workers Running worker processes.",
        "# TYPE aigw_workers gauge",
        f"aigw_workers {len(supervisor.workers)}",
        "# HELP aigw_worker_restarts_total Workers that ended by themselves and were started anew.",
        "# TYPE aigw_worker_restarts_total counter",
        f"aigw_worker_restarts_total {supervisor.restarts}",
        "",
    )
    return "\n".join(lines).encode()
