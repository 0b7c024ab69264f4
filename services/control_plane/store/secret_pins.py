"""The versions of secrets that the rows of integrations pin."""

from __future__ import annotations

from sqlmodel import Session, col, select

from services.control_plane.rules.secret_versions import Pin
from services.control_plane.store.tables import IntegrationTable
from shared.providers import PROVIDERS, ProviderName

Key = tuple[str, ProviderName]
"""(org, provider)."""


def of(session: Session, orgs: list[str]) -> dict[Key, Pin]:
    """Tell the versions pinned by each integration of these orgs; without a row, nothing is pinned."""
    found: dict[Key, Pin] = {(org, provider): Pin() for org in orgs for provider in PROVIDERS}
    for row in session.exec(select(IntegrationTable).where(col(IntegrationTable.org).in_(orgs))):
        since = None if row.state == "not_set_up" else row.key_updated_at or row.updated_at
        found[row.org, row.provider] = Pin(row.secret_version, since)
    return found
