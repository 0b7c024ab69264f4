"""`/livez` and `/readyz` of both listeners: is the process alive, can it reach its database."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from services.control_plane.api.context import InContext
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.problems import Problem

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A yes."""

    status: str


@router.get("/livez", operation_id="getLive")
async def get_live() -> Health:
    """Report a serving process."""
    return Health(status="alive")


@router.get("/readyz", operation_id="getReady", responses=problem_responses(Problem.NOT_READY))
async def get_ready(context: InContext) -> Health:
    """Tell that the database answers."""
    await context.readiness.require()
    return Health(status="ready")
