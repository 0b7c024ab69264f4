"""`/internal/v1`: the requests of the fleet of data planes, on a listener and with a token of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from services.control_plane.api.context import Context, InContext
from services.control_plane.kept_snapshot import pieces_of
from services.control_plane.rules.etag import none_match
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import bearer_token, unauthorized
from services.control_plane.store.changes import Counter
from services.control_plane.store.rollout import note_report
from shared.acknowledgement import Acknowledgement, AcknowledgementError, decode_acknowledgement
from shared.config_feed import SNAPSHOT_MEDIA_TYPE, read_snapshot_etag, snapshot_etag
from shared.secret import Secret

router = APIRouter(prefix="/internal/v1")


@router.get("/snapshot", operation_id="getSnapshot")
async def get_snapshot(
    request: Request,
    context: InContext,
    if_none_match: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Give the whole configuration, or 304 when the caller has this revision already."""
    _require_fleet(request, context)
    at = await context.fleet_threads.run(_where_it_stands, context, if_none_match)
    tag = snapshot_etag(at.epoch, at.revision)
    if none_match(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    kept = await context.snapshots.no_older_than(at)
    headers = {"ETag": kept.etag}
    data = kept.body
    if "gzip" in accept_encoding:
        data, headers["Content-Encoding"] = kept.packed, "gzip"
    headers["Content-Length"] = str(len(data))
    return StreamingResponse(_sent(data), headers=headers, media_type=SNAPSHOT_MEDIA_TYPE)


async def _sent(data: bytes) -> AsyncIterator[bytes]:
    for piece in pieces_of(data):
        yield bytes(piece)


def _where_it_stands(context: Context, if_none_match: str | None) -> Counter:
    """Read the counter; a caller above the counter proves lost commits, and gets the new epoch's snapshot."""
    at = context.lost_commits.check()
    known = read_snapshot_etag(if_none_match or "")
    if known is not None and context.lost_commits.suspect(Counter(*known), "a data plane"):
        return context.lost_commits.check()
    return at


@router.post("/acknowledgements", operation_id="postAcknowledgement", status_code=204)
async def post_acknowledgement(request: Request, context: InContext) -> None:
    """Take the report of a data-plane process."""
    _require_fleet(request, context)
    try:
        report = decode_acknowledgement(await request.body())
    except AcknowledgementError as error:
        raise ProblemError(Problem.BAD_REQUEST, f"This is {error}.") from None
    await context.fleet_threads.run(_note, context, report)


def _note(context: Context, report: Acknowledgement) -> None:
    # First, so that no report is ever kept that stands above the counter of its epoch.
    applied = Counter(report.epoch, report.applied_revision)
    context.lost_commits.suspect(applied, f"data plane {report.process}")
    with context.database.quiet_write() as session:
        note_report(session, report, now=context.clock(), forget_seconds=context.forget_seconds)


def _require_fleet(request: Request, context: Context) -> None:
    if Secret(bearer_token(request.headers.get("authorization"))) != context.internal_token:
        raise unauthorized("This needs the fleet's token.")
