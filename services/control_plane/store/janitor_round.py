"""The position of the secret janitor in its round through the orgs, for all processes."""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.store.tables import JANITOR_ID, JanitorTable, OrgTable


def claim(session: Session, *, limit: int, now: float, round_seconds: float) -> list[str]:
    """Take the next orgs of the round, removed ones too; [] while the next round is not due.

    The session must be a writing session: a second process waits at the row, and gets the orgs after these.
    """
    row = session.exec(select(JanitorTable).where(col(JanitorTable.id) == JANITOR_ID).with_for_update()).one()
    if row.after_org == "" and now - row.began_at < round_seconds:
        return []
    if row.after_org == "":
        row.began_at = now
    statement = select(OrgTable.org).where(col(OrgTable.org) > row.after_org).order_by(col(OrgTable.org))
    orgs = list(session.exec(statement.limit(limit)))
    row.after_org = orgs[-1] if len(orgs) == limit else ""
    session.add(row)
    return orgs
