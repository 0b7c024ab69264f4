"""`…/ai-integrations/{provider}/rollout`: the progress of the last change, and findings of real traffic."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.control_plane.api.context import InContext, Reading
from services.control_plane.api.integration_schemas import Timestamp
from services.control_plane.api.integrations import ITEM, READ_PROBLEMS
from services.control_plane.api.named_provider import OfferedProvider
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import require_reader
from services.control_plane.store.integrations import integration
from services.control_plane.store.orgs import role_of
from services.control_plane.store.rollout import rollout_of
from shared.clock import rfc3339

router = APIRouter(tags=["ai-integrations"])


class Traffic(BaseModel):
    """The provider's latest verdicts on requests with the org's key, whichever key was stored at the time."""

    accepted_at: Timestamp | None
    rejected_at: Timestamp | None = Field(description="The last answer 401.")


class RolloutAnswer(BaseModel):
    """How far an integration's last change has got."""

    revision: int
    live: int = Field(description="How many processes enforce it.")
    total: int = Field(description="How many processes take traffic, or may: the unknown ones count too.")
    unknown: int = Field(
        description="How many of them have not been heard for 15 s and may still serve an older state. A "
        "process leaves the count when it reports, ends, has a successor in its place, or was silent for "
        "`AIGW_FORGET_SILENT_PROCESS_SECONDS`."
    )
    unknown_seconds: float | None = Field(description="How long the longest silent of them has been silent.")
    seconds: float | None = Field(
        description="From the save to the last of them; null while it is not everywhere, or not known."
    )
    traffic: Traffic


@router.get(ITEM + "/rollout", operation_id="getRollout", responses=problem_responses(*READ_PROBLEMS))
def get_rollout(org: OrgId, provider: OfferedProvider, person: Reading, context: InContext) -> RolloutAnswer:
    """Tell how many processes of the fleet enforce the present integration."""
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        row = integration(session, org, provider)
        found = rollout_of(
            session,
            row,
            context.rollout_times,
            now=context.clock(),
            forget_seconds=context.forget_seconds,
        )
    return RolloutAnswer(
        revision=row.revision,
        live=found.live,
        total=found.total,
        unknown=found.unknown,
        unknown_seconds=None if found.unknown_seconds is None else round(found.unknown_seconds),
        seconds=None if found.seconds is None else round(found.seconds, 3),
        traffic=Traffic(accepted_at=_time(found.accepted_at), rejected_at=_time(found.rejected_at)),
    )


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
