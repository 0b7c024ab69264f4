"""`/internal/v1`: what the fleet of data planes asks, on a listener and with a token of its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from services.control_plane.api.context import Context, InContext
from services.control_plane.rules.etag import none_match
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import bearer_token, unauthorized
from services.control_plane.store.changes import counter
from services.control_plane.store.rollout import note_report
from services.control_plane.store.snapshot import snapshot
from shared.acknowledgement import Acknowledgement, AcknowledgementError, decode_acknowledgement
from shared.config_feed import SNAPSHOT_MEDIA_TYPE, encode_snapshot, snapshot_etag
from shared.secret import Secret

router = APIRouter(prefix="/internal/v1")


@router.get("/snapshot", operation_id="getSnapshot")
def get_snapshot(
    request: Request, context: InContext, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Give the whole configuration, or 304 when the caller has this revision already."""
    _require_fleet(request, context)
    with context.database.read() as session:
        # One transaction: the tag that is compared is the tag of what would be read.
        at = counter(session)
        tag = snapshot_etag(at.epoch, at.revision)
        if none_match(if_none_match, tag):
            return Response(status_code=304, headers={"ETag": tag})
        taken = snapshot(session)
    return Response(encode_snapshot(taken), headers={"ETag": tag}, media_type=SNAPSHOT_MEDIA_TYPE)


@router.post("/acknowledgements", operation_id="postAcknowledgement", status_code=204)
async def post_acknowledgement(request: Request, context: InContext) -> None:
    """Take the report of one data-plane process."""
    _require_fleet(request, context)
    try:
        report = decode_acknowledgement(await request.body())
    except AcknowledgementError as error:
        raise ProblemError(Problem.BAD_REQUEST, f"This is {error}.") from None
    await run_in_threadpool(_note, context, report)


def _note(context: Context, report: Acknowledgement) -> None:
    with context.database.quiet_write() as session:
        note_report(session, report, now=context.clock())


def _require_fleet(request: Request, context: Context) -> None:
    if Secret(bearer_token(request.headers.get("authorization"))) != context.internal_token:
        raise unauthorized("This needs the fleet's token.")
