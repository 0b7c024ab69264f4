"""The audit: reading, newest first, and rows about what is no change of the configuration."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session, col, select

from services.control_plane.store.changes import AuditNote, Author, add_audit_row
from services.control_plane.store.tables import AuditTable

NO_REVISION: Final = 0
"""The revision of what happened without a change of the configuration."""


def note(session: Session, author: Author, what: AuditNote) -> None:
    """Add a row about something that is no change of the configuration, and so has no event."""
    add_audit_row(session, NO_REVISION, author, what)


def is_crowded(session: Session, org: str, action: str, *, since: float, rows: int) -> bool:
    """Whether the newest `rows` rows of an org are all of one action and younger than `since`."""
    newest = audit_page(session, org, before=None, limit=rows)
    return len(newest) == rows and all(row.action == action and row.at > since for row in newest)


def audit_page(
    session: Session,
    org: str | None,
    *,
    before: int | None,
    limit: int,
    actor: str | None = None,
    target: str | None = None,
    action: str | None = None,
) -> list[AuditTable]:
    """Rows of an org with an id below `before` (None: from the newest), at most `limit`.

    `actor` and `target`, where given, are matched exactly.
    """
    of_org = col(AuditTable.org).is_(None) if org is None else col(AuditTable.org) == org
    statement = select(AuditTable).where(of_org)
    if before is not None:
        statement = statement.where(col(AuditTable.id) < before)
    if actor is not None:
        statement = statement.where(col(AuditTable.actor) == actor)
    if target is not None:
        statement = statement.where(col(AuditTable.target) == target)
    if action is not None:
        statement = statement.where(col(AuditTable.action) == action)
    return list(session.exec(statement.order_by(col(AuditTable.id).desc()).limit(limit)))
