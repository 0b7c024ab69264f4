"""`orgs/{org}/audit`: the log of changes with their authors, newest first."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.control_plane.api.context import InContext, SignedIn
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


class AuditEntry(BaseModel):
    """A change."""

    id: str
    at: Timestamp
    actor: str = Field(description="An email address, or `platform`.")
    action: str = Field(description="E.g. `integration.put`, `integration.cleared`, `member.put`.")
    target: str = Field(description="What was changed: a provider, an email address, the org.")
    revision: int
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
    org: OrgId, person: SignedIn, context: InContext, page: Annotated[AuditQuery, Query()]
) -> AuditList:
    """List the changes of an organization."""
    before = None if page.cursor is None else _row_of(page.cursor)
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        found = audit_page(
            session, org, before=before, limit=page.limit + 1, actor=page.actor, target=page.target
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
