"""The REST interface for the platform that runs boxes, on a Unix socket.

No answer ever contains a token or key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from services.node_agent.attachments import AttachmentConflictError, NoRoomError
from services.node_agent.keep.store import StoreError
from services.node_agent.listeners.making import ListenerError, PlaceTakenError
from services.node_agent.rules.attachment import AttachmentError, read_attachment, write_attachment
from shared.bounded_body import read_body
from shared.clock import rfc3339
from shared.health_routes import add_health_routes

if TYPE_CHECKING:
    from services.node_agent.attachments import Attached, Attachments
    from services.node_agent.metrics import Metrics

MAX_BODY_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class RestParts:
    """The parts used by the application. `ready` tells whether a data plane was reached."""

    attachments: Attachments
    metrics: Metrics
    ready: Callable[[], bool]


def rest_app(parts: RestParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="run9 AI Gateway node agent", docs_url=None, redoc_url=None, openapi_url=None)
    _add_boxes(app, parts.attachments)
    _add_health(app, parts)
    for kind in FAILURES:
        app.exception_handler(kind)(_on_failure)
    return app


def _add_boxes(app: FastAPI, attachments: Attachments) -> None:
    @app.put("/v1/boxes/{box}")
    async def put_box(box: str, request: Request) -> Response:
        wanted = read_attachment(box, await _json_body(request))
        return JSONResponse(describe(await attachments.attach(wanted)))

    @app.delete("/v1/boxes/{box}")
    async def delete_box(box: str, lifecycle_id: Annotated[str, Query()] = "") -> Response:
        if not lifecycle_id:
            return _problem(422, "Which life?", "Say which life ends: ?lifecycle_id=…")
        await attachments.detach(box, lifecycle_id)
        return Response(status_code=204)

    @app.get("/v1/boxes")
    async def get_boxes() -> Response:
        return JSONResponse({"boxes": [describe(attached) for attached in attachments.all()]})

    @app.get("/v1/boxes/{box}")
    async def get_box(box: str) -> Response:
        attached = attachments.get(box)
        if attached is None:
            return _problem(404, "Not attached", "No box of this id is attached to this node.")
        return JSONResponse(describe(attached))


FAILURES: Final = (AttachmentError, AttachmentConflictError, ListenerError, NoRoomError, StoreError)


async def _on_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the hook's signature
    match error:
        case AttachmentError():
            return _problem(422, "This is no attachment", str(error), pointer=error.pointer)
        case AttachmentConflictError() | PlaceTakenError():
            return _problem(409, "In conflict with another box or life", str(error))
        case ListenerError():
            return _problem(422, "The listener cannot be made", str(error), pointer="/listen")
        case NoRoomError():
            return _problem(
                503, "The node is full", "Few descriptors are left. Raise the agent's LimitNOFILE."
            )
        case _:
            return _problem(
                503, "The disk does not keep attachments", f"{error}. Nothing listens for this box."
            )


def describe(attached: Attached) -> dict[str, Any]:
    """Write an attachment as shown by `GET`."""
    acceptor = attached.acceptor
    error = acceptor.last_error
    return {
        "box": attached.attachment.box,
        **write_attachment(attached.attachment),
        "generation": attached.kept.generation,
        "state": attached.state,
        "connections": acceptor.connections,
        "connections_accepted": acceptor.accepted,
        "bytes_up": acceptor.bytes_up,
        "bytes_down": acceptor.bytes_down,
        "last_error": None if error is None else {"at": rfc3339(error.at), "message": error.message},
    }


def _add_health(app: FastAPI, parts: RestParts) -> None:
    async def ready() -> bool:
        return parts.ready()

    async def exposition() -> bytes:
        return parts.metrics.exposition()

    add_health_routes(app, ready=ready, not_ready="no data plane takes connections", exposition=exposition)


async def _json_body(request: Request) -> Any:
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        raise AttachmentError("", f"The body has more than {MAX_BODY_BYTES} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise AttachmentError("", "The body is not JSON.") from None


def _problem(status: int, title: str, detail: str, *, pointer: str | None = None) -> Response:
    """Write problem details (RFC 9457)."""
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if pointer is not None:
        document["errors"] = [{"pointer": pointer, "detail": detail}]
    return JSONResponse(document, status_code=status, media_type="application/problem+json")
