"""`orgs/{org}/members`: the people of an org. Members change by provisioning alone."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from services.control_plane.api.context import InContext, Reading
from services.control_plane.api.integration_schemas import Timestamp
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.pages import Page, read_cursor, write_cursor
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import Role, require_reader
from services.control_plane.rules.problems import Problem
from services.control_plane.store.orgs import members_of, role_of
from shared.clock import rfc3339

router = APIRouter(tags=["orgs"])


class Member(BaseModel):
    """A person of an organization."""

    email: str
    role: Role
    since: Timestamp


class MemberList(BaseModel):
    """A page of members, by address."""

    items: list[Member]
    next_cursor: str | None


@router.get(
    "/orgs/{org}/members",
    operation_id="listMembers",
    responses=problem_responses(
        Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID, Problem.BAD_REQUEST
    ),
)
def list_members(org: OrgId, person: Reading, context: InContext, page: Page) -> MemberList:
    """List the people of an organization."""
    after = "" if page.cursor is None else read_cursor(page.cursor)
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        context.shares.charge_page(org, person.email, page.limit)
        found = members_of(session, org, after=after, limit=page.limit + 1)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return MemberList(
        items=[Member(email=row.email, role=row.role, since=rfc3339(row.updated_at)) for row in shown],
        next_cursor=write_cursor(shown[-1].email) if more else None,
    )
