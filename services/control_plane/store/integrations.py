"""The integration rows: reading, and the one-transaction write of a judged change."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import Session, col, select

from services.control_plane.rules.integration import Transition
from services.control_plane.rules.key import KeyLabel
from services.control_plane.store.changes import AuditNote, Author, next_revision, record
from services.control_plane.store.tables import IntegrationTable
from shared.config_feed import IntegrationRow
from shared.providers import ProviderName


@dataclass(frozen=True, slots=True)
class NewKey:
    """A row's facts about a key written to the secret store as `version`, at `written_at`."""

    version: int
    label: KeyLabel
    written_at: float


@dataclass(frozen=True, slots=True)
class PendingDestruction:
    """Versions of a secret, up to `through`, to be destroyed in the secret store."""

    org: str
    provider: ProviderName
    through: int


def never_set_up(org: str, provider: ProviderName) -> IntegrationTable:
    """The row of an integration without a stored row: revision 0, not stored anywhere."""
    return IntegrationTable(
        org=org,
        provider=provider,
        state="not_set_up",
        endpoint="",
        key_last4="",
        key_fingerprint="",
        key_updated_at=None,
        key_updated_by=None,
        secret_version=0,
        destroy_through=None,
        revision=0,
        updated_at=0.0,
        updated_by="",
    )


def integration(session: Session, org: str, provider: ProviderName) -> IntegrationTable:
    """Give the row; before the first set-up, a fresh row with revision 0."""
    return session.get(IntegrationTable, (org, provider)) or never_set_up(org, provider)


def apply(
    session: Session, author: Author, row: IntegrationTable, transition: Transition, key: NewKey | None
) -> None:
    """Write a change judged against exactly this row. `key` is set for a transition with a new secret."""
    assert transition.changed, "a change that changes nothing takes no revision"
    assert transition.secret == (key is not None), "a secret is written exactly when the rules ask for one"
    taken = next_revision(session)
    row.state, row.endpoint = transition.state, transition.endpoint
    if key is not None:
        row.secret_version = key.version
        row.key_last4, row.key_fingerprint = key.label.last4, key.label.fingerprint
        row.key_updated_at, row.key_updated_by = author.at, author.actor
    row.revision, row.updated_at, row.updated_by = taken.revision, author.at, author.actor
    session.add(row)
    details: dict[str, object] = {
        "changed": list(transition.changed),
        "state": row.state,
        "endpoint": row.endpoint,
        "key_last4": row.key_last4,
        "key_fingerprint": row.key_fingerprint,
    }
    note = AuditNote(row.org, "integration.put", row.provider, details)
    record(session, taken, author, note, "put_integration", _feed_row(row))


def clear(session: Session, author: Author, row: IntegrationTable) -> None:
    """Make the row a tombstone; the versions of its secret are to be destroyed, until confirmed gone."""
    assert row.state != "not_set_up", "there is nothing to clear"
    taken = next_revision(session)
    row.state, row.endpoint = "not_set_up", ""
    row.key_last4, row.key_fingerprint, row.key_updated_at, row.key_updated_by = "", "", None, None
    row.destroy_through = row.secret_version
    row.revision, row.updated_at, row.updated_by = taken.revision, author.at, author.actor
    session.add(row)
    note = AuditNote(row.org, "integration.cleared", row.provider, {})
    record(session, taken, author, note, "clear_integration", _feed_row(row))


def clear_all(session: Session, author: Author, org: str) -> None:
    """Clear every integration of an org."""
    statement = select(IntegrationTable).where(
        col(IntegrationTable.org) == org, col(IntegrationTable.state) != "not_set_up"
    )
    for row in session.exec(statement).all():
        clear(session, author, row)


def pending_destructions(session: Session, limit: int) -> list[PendingDestruction]:
    """Which secrets must still be destroyed."""
    statement = select(IntegrationTable).where(col(IntegrationTable.destroy_through).is_not(None))
    return [
        PendingDestruction(row.org, row.provider, row.destroy_through or 0)
        for row in session.exec(statement.order_by(col(IntegrationTable.revision)).limit(limit))
    ]


def destroyed(session: Session, gone: PendingDestruction) -> None:
    """Note the end of the named versions; a later clear with more versions stays pending."""
    session.execute(
        update(IntegrationTable)
        .where(
            col(IntegrationTable.org) == gone.org,
            col(IntegrationTable.provider) == gone.provider,
            col(IntegrationTable.destroy_through) == gone.through,
        )
        .values(destroy_through=None)
    )


def _feed_row(row: IntegrationTable) -> IntegrationRow:
    return IntegrationRow(row.org, row.provider, row.state == "enabled", row.secret_version)
