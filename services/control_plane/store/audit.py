"""Reading the audit, newest first."""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.store.tables import AuditTable


def audit_page(session: Session, org: str, *, before: int | None, limit: int) -> list[AuditTable]:
    """Rows of one org with an id below `before` (None: from the newest), at most `limit`."""
    statement = select(AuditTable).where(col(AuditTable.org) == org)
    if before is not None:
        statement = statement.where(col(AuditTable.id) < before)
    return list(session.exec(statement.order_by(col(AuditTable.id).desc()).limit(limit)))
