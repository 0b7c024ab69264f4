"""The outbox rows: what is still to be published, what was, and what can be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from services.control_plane.store.tables import OutboxTable


def unpublished(session: Session, limit: int) -> list[tuple[int, bytes]]:
    """The oldest events that no bus has yet, as (revision, bytes), in order."""
    statement = select(OutboxTable).where(col(OutboxTable.published_at).is_(None))
    rows = session.exec(statement.order_by(col(OutboxTable.revision)).limit(limit))
    return [(row.revision, row.event) for row in rows]


def mark_published(session: Session, revisions: Sequence[int], at: float) -> None:
    """Note that the bus has these."""
    session.execute(
        update(OutboxTable).where(col(OutboxTable.revision).in_(revisions)).values(published_at=at)
    )


def prune(session: Session, published_before: float) -> None:
    """Forget what was published before that Unix time."""
    session.execute(delete(OutboxTable).where(col(OutboxTable.published_at) < published_before))
