"""`orgs/{org}/audit`: the log of changes with their authors, newest first."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlmodel import Session

from services.control_plane.api.context import AsPlatform, InContext, Reading
from services.control_plane.api.integration_schemas import Timestamp
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.pages import PageQuery, bad_cursor, read_cursor, write_cursor
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import require_reader
from services.control_plane.rules.names import NO_CONTROLS
from services.control_plane.rules.problems import Problem
from services.control_plane.store.audit import audit_page
from services.control_plane.store.orgs import role_of
from services.control_plane.store.tables import AuditTable
from shared.clock import rfc3339

router = APIRouter(tags=["audit"])
_MAX_ID = 2**63 - 1


class AuditQuery(PageQuery):
    """Which changes."""

    actor: str | None = Field(
        default=None, max_length=254, pattern=NO_CONTROLS, description="Only those of this person."
    )
    target: str | None = Field(
        default=None, max_length=254, pattern=NO_CONTROLS, description="Only those of this target."
    )


class PlatformAuditQuery(AuditQuery):
    """Which entries without an organization."""

    action: str | None = Field(
        default=None, max_length=64, pattern=NO_CONTROLS, description="Only those of this action."
    )


class AuditEntry(BaseModel):
    """A change."""

    id: str
    at: Timestamp
    actor: str = Field(description="An email address, or `platform`.")
    action: str = Field(description="E.g. `integration.put`, `integration.cleared`, `member.put`.")
    target: str = Field(description="What was changed: a provider, an email address, the org.")
    revision: int = Field(description="Of the configuration; 0: nothing of it was changed.")
    details: dict[str, Any] = Field(description="Depends on the action; never holds a key.")


class AuditList(BaseModel):
    """A page of changes, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None


@router.get(
    "/orgs/{org}/audit",
    operation_id="listAudit",
    responses=problem_responses(
        Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID, Problem.BAD_REQUEST
    ),
)
def list_audit(
    org: OrgId, person: Reading, context: InContext, page: Annotated[AuditQuery, Query()]
) -> AuditList:
    """List the changes of an organization."""
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        context.shares.charge_page(org, person.email, page.limit)
        return _page(session, org, page)


@router.get(
    "/audit",
    operation_id="listPlatformAudit",
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.INVALID, Problem.BAD_REQUEST),
)
def list_platform_audit(
    _author: AsPlatform, context: InContext, page: Annotated[PlatformAuditQuery, Query()]
) -> AuditList:
    """List what belongs to no organization: changes of nodes, sign-ins and refused ones, ended sessions."""
    with context.database.read() as session:
        return _page(session, None, page, page.action)


def _page(session: Session, org: str | None, page: AuditQuery, action: str | None = None) -> AuditList:
    before = None if page.cursor is None else _row_of(page.cursor)
    found = audit_page(
        session,
        org,
        before=before,
        limit=page.limit + 1,
        actor=page.actor,
        target=page.target,
        action=action,
    )
    shown = found[: page.limit]
    more = len(found) > page.limit
    return AuditList(
        items=[_entry(row) for row in shown], next_cursor=write_cursor(shown[-1].id or 0) if more else None
    )


def _row_of(cursor: str) -> int:
    text = read_cursor(cursor)
    if not text.isascii() or not text.isdecimal() or not 0 < (row := int(text)) <= _MAX_ID:
        raise bad_cursor()
    return row


def _entry(row: AuditTable) -> AuditEntry:
    return AuditEntry(
        id=str(row.id),
        at=rfc3339(row.at),
        actor=row.actor,
        action=row.action,
        target=row.target,
        revision=row.revision,
        details=json.loads(row.details),
    )
