"""Ending a person's Portal sessions: by an owner of the person's org, or by the platform for any person."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.control_plane.api.context import AsPlatform, Changing, InContext
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.api.provisioning import Email
from services.control_plane.rules.membership import require_owner
from services.control_plane.rules.names import checked_email
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store import audit, sessions
from services.control_plane.store.changes import AuditNote, Author
from services.control_plane.store.orgs import owners_of, role_of

router = APIRouter()
ENDED: Final = "sessions.ended"


class EndedSessions(BaseModel):
    """How many sessions were ended."""

    ended: int = Field(description="Browsers that were signed in until now; 0 is no error.")


@router.delete(
    "/orgs/{org}/members/{email}/sessions",
    operation_id="endMemberSessions",
    tags=["orgs"],
    responses=problem_responses(
        Problem.SIGN_IN_REQUIRED,
        Problem.TOO_MANY_CHANGES,
        Problem.OWNER_REQUIRED,
        Problem.NOT_FOUND,
        Problem.INVALID,
    ),
)
def end_member_sessions(org: OrgId, email: Email, person: Changing, context: InContext) -> EndedSessions:
    """End every Portal session of a person of the organization. Owners only; the person can sign in again.

    A session belongs to a person, not to an organization, so the sessions end for the person's other
    organizations too: a stolen browser that is left signed in there could come back here.
    """
    email = checked_email(email)
    with context.database.quiet_write() as session:
        require_owner(role_of(session, org, person.email), owners_of(session, org))
        if role_of(session, org, email) is None:
            raise ProblemError(Problem.NOT_FOUND, "There is no such member.")
        ended = sessions.end_sessions_of(session, email)
        if ended:
            author = Author(person.email, context.clock())
            audit.note(session, author, AuditNote(org, ENDED, email, {"ended": ended}))
    return EndedSessions(ended=ended)


@router.delete(
    "/people/{email}/sessions",
    operation_id="endSessions",
    tags=["provisioning"],
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID),
)
def end_sessions(email: Email, author: AsPlatform, context: InContext) -> EndedSessions:
    """End every Portal session of a person, whatever the person's organizations are."""
    email = checked_email(email)
    with context.database.quiet_write() as session:
        ended = sessions.end_sessions_of(session, email)
        if ended:
            audit.note(session, author, AuditNote(None, ENDED, email, {"ended": ended}))
    return EndedSessions(ended=ended)
