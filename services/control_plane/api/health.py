"""`/livez` and `/readyz` of both listeners: is the process alive, can it reach its database."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from services.control_plane.api.context import InContext
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store.changes import counter
from services.control_plane.store.outage import DatabaseUnavailable

router = APIRouter(tags=["health"])
_log = logging.getLogger(__name__)


class Health(BaseModel):
    """A yes."""

    status: str


@router.get("/livez", operation_id="getLive")
async def get_live() -> Health:
    """Report a serving process."""
    return Health(status="alive")


@router.get("/readyz", operation_id="getReady", responses=problem_responses(Problem.NOT_READY))
def get_ready(context: InContext) -> Health:
    """Report an answering database."""
    try:
        with context.database.read() as session:
            counter(session)
    except (DatabaseUnavailable, SQLAlchemyError) as error:  # the latter: one that answers, but not as ours
        _log.warning("not ready: the database does not answer (%s)", type(error).__name__)
        raise ProblemError(Problem.NOT_READY, "The database does not answer.") from None
    return Health(status="ready")
