"""`me` and `orgs`: the caller, and the orgs open to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from services.control_plane.api.context import Context, InContext, Reading
from services.control_plane.api.named_provider import ShownProvider
from services.control_plane.api.pages import Page, read_cursor, write_cursor
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import Role, require_reader
from services.control_plane.rules.names import NO_CONTROLS
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.store import orgs
from services.control_plane.store.orgs import OrgView

router = APIRouter(tags=["orgs"])

OrgId = Annotated[
    str, Path(description="The platform's id of the organization.", max_length=128, pattern=NO_CONTROLS)
]


class Me(BaseModel):
    """The person behind the token."""

    email: str


class Org(BaseModel):
    """An organization as seen by the caller."""

    org: str
    name: str
    role: Role = Field(description="The caller's own: owners edit, members read.")
    owners: list[str] = Field(description="Who may change its settings.")
    enabled: list[ShownProvider] = Field(description="The offered providers that are switched on.")


class OrgList(BaseModel):
    """A page of the caller's organizations, by id."""

    items: list[Org]
    next_cursor: str | None


@router.get("/me", operation_id="getMe", responses=problem_responses(Problem.SIGN_IN_REQUIRED))
def get_me(person: Reading) -> Me:
    """Tell the person behind the token."""
    return Me(email=person.email)


@router.get(
    "/orgs",
    operation_id="listOrgs",
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.INVALID, Problem.BAD_REQUEST),
)
def list_orgs(person: Reading, context: InContext, page: Page) -> OrgList:
    """List the caller's organizations."""
    after = "" if page.cursor is None else read_cursor(page.cursor)
    with context.database.read() as session:
        found = orgs.orgs_of(session, person.email, after=after, limit=page.limit + 1)
    shown = found[: page.limit]
    more = len(found) > page.limit
    cursor = write_cursor(shown[-1].org) if more else None
    return OrgList(items=[_org(context, view) for view in shown], next_cursor=cursor)


@router.get(
    "/orgs/{org}",
    operation_id="getOrg",
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND),
)
def get_org(org: OrgId, person: Reading, context: InContext) -> Org:
    """Show an organization of the caller."""
    with context.database.read() as session:
        role = require_reader(orgs.role_of(session, org, person.email))
        row = orgs.live_org(session, org)
        if row is None:
            raise ProblemError(Problem.NOT_FOUND, "There is no such organization among yours.")
        return _org(
            context,
            OrgView(row.org, row.name, role, orgs.owners_of(session, org), orgs.enabled_in(session, org)),
        )


def _org(context: Context, view: OrgView) -> Org:
    enabled = [row.name for row in context.providers if row.name in view.enabled]
    return Org(org=view.org, name=view.name, role=view.role, owners=list(view.owners), enabled=enabled)
