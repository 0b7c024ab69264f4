"""The outbox rows: unpublished, published, and to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from services.control_plane.store.tables import OutboxTable


def unpublished(session: Session, limit: int) -> list[tuple[int, bytes]]:
    """The oldest unpublished events, as (revision, bytes), in order."""
    statement = select(OutboxTable).where(col(OutboxTable.published_at).is_(None))
    rows = session.exec(statement.order_by(col(OutboxTable.revision)).limit(limit))
    return [(row.revision, row.event) for row in rows]


def backlog(session: Session) -> tuple[int, float | None]:
    """How many events are unpublished, and when the oldest of them was committed (Unix seconds)."""
    waiting = col(OutboxTable.published_at).is_(None)
    count, oldest_at = session.exec(
        select(func.count(), func.min(OutboxTable.created_at)).where(waiting)
    ).one()
    return count, oldest_at


def mark_published(session: Session, revisions: Sequence[int], at: float) -> None:
    """Note the publication of these revisions."""
    session.execute(
        update(OutboxTable).where(col(OutboxTable.revision).in_(revisions)).values(published_at=at)
    )


def prune(session: Session, published_before: float) -> None:
    """Forget events published before the given Unix time."""
    session.execute(delete(OutboxTable).where(col(OutboxTable.published_at) < published_before))
