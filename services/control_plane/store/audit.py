"""Reading the audit, newest first."""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.store.tables import AuditTable


def audit_page(
    session: Session,
    org: str,
    *,
    before: int | None,
    limit: int,
    actor: str | None = None,
    target: str | None = None,
) -> list[AuditTable]:
    """Rows of an org with an id below `before` (None: from the newest), at most `limit`.

    `actor` and `target`, where given, are matched exactly.
    """
    statement = select(AuditTable).where(col(AuditTable.org) == org)
    if before is not None:
        statement = statement.where(col(AuditTable.id) < before)
    if actor is not None:
        statement = statement.where(col(AuditTable.actor) == actor)
    if target is not None:
        statement = statement.where(col(AuditTable.target) == target)
    return list(session.exec(statement.order_by(col(AuditTable.id).desc()).limit(limit)))
