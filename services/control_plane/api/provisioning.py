"""The platform's provisioning: which orgs and members there are. Only by the platform's token.

Every call is idempotent: a repeat without a change takes no revision.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from services.control_plane.api.context import AsPlatform, InContext
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import Role
from services.control_plane.rules.names import (
    MAX_EMAIL_CHARS,
    checked_email,
    checked_id,
    checked_org_name,
)
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store import integrations, orgs
from services.control_plane.store.changes import changing
from services.control_plane.store.tables import OrgTable

router = APIRouter(tags=["provisioning"])

_PUT_PROBLEMS = (
    Problem.SIGN_IN_REQUIRED,
    Problem.BAD_REQUEST,
    Problem.INVALID,
    Problem.NOT_FOUND,
    Problem.BODY_TOO_LARGE,
    Problem.TOO_MANY_CHANGES,
)
_PUT = problem_responses(*_PUT_PROBLEMS)
_DELETE = problem_responses(
    Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID, Problem.TOO_MANY_CHANGES
)

Email = Annotated[
    str, Path(description="The member's address, matched without case.", max_length=MAX_EMAIL_CHARS)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PutOrg(_Body):
    """An organization."""

    name: str = Field(min_length=1, max_length=200, description="What people see, on one line.")


class ProvisionedOrg(BaseModel):
    """A provisioned organization."""

    org: str
    name: str


class PutMember(_Body):
    """A membership."""

    role: Role


class ProvisionedMember(BaseModel):
    """A provisioned membership."""

    email: str
    role: Role


@router.put("/orgs/{org}", operation_id="putOrg", responses=_PUT)
def put_org(org: OrgId, body: PutOrg, author: AsPlatform, context: InContext) -> ProvisionedOrg:
    """Make or rename an organization."""
    checked_id(org, "an organization")
    context.shares.charge_change_by_platform(org)
    name = checked_org_name(body.name)
    with changing(context.database) as session:
        orgs.put_org(session, author, org, name)
    return ProvisionedOrg(org=org, name=name)


@router.delete("/orgs/{org}", operation_id="removeOrg", status_code=204, responses=_DELETE)
def remove_org(org: OrgId, author: AsPlatform, context: InContext) -> None:
    """Remove an organization with its members; its keys are destroyed."""
    context.shares.charge_change_by_platform(org)
    with changing(context.database) as session:
        row = _live_org(session, org)
        integrations.clear_all(session, author, org)
        orgs.remove_org(session, author, row)


@router.put("/orgs/{org}/members/{email}", operation_id="putMember", responses=_PUT)
def put_member(
    org: OrgId, email: Email, body: PutMember, author: AsPlatform, context: InContext
) -> ProvisionedMember:
    """Give a person a role in an organization."""
    context.shares.charge_change_by_platform(org)
    email = checked_email(email)
    with changing(context.database) as session:
        orgs.put_member(session, author, _live_org(session, org), email, body.role)
    return ProvisionedMember(email=email, role=body.role)


@router.delete("/orgs/{org}/members/{email}", operation_id="removeMember", status_code=204, responses=_DELETE)
def remove_member(org: OrgId, email: Email, author: AsPlatform, context: InContext) -> None:
    """Take a person out of an organization."""
    context.shares.charge_change_by_platform(org)
    email = checked_email(email)
    with changing(context.database) as session:
        if not orgs.remove_member(session, author, _live_org(session, org), email):
            raise ProblemError(Problem.NOT_FOUND, "There is no such member.")


def _live_org(session: Session, org: str) -> OrgTable:
    row = orgs.live_org(session, org)
    if row is None:
        raise ProblemError(Problem.NOT_FOUND, "There is no such organization.")
    return row
