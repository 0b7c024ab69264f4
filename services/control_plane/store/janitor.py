"""Where the janitor of secrets is in its round through the orgs, for all processes.

And the versions pinned by the rows.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.rules.secret_versions import Pin
from services.control_plane.store.tables import JANITOR_ID, IntegrationTable, JanitorTable, OrgTable
from shared.providers import PROVIDERS, ProviderName

Key = tuple[str, ProviderName]
"""(org, provider)."""


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


def pins(session: Session, orgs: list[str]) -> dict[Key, Pin]:
    """Tell the versions pinned by each integration of these orgs; without a row, nothing is pinned."""
    found: dict[Key, Pin] = {(org, provider): Pin() for org in orgs for provider in PROVIDERS}
    for row in session.exec(select(IntegrationTable).where(col(IntegrationTable.org).in_(orgs))):
        since = None if row.state == "not_set_up" else row.key_updated_at or row.updated_at
        found[row.org, row.provider] = Pin(row.secret_version, since)
    return found
