"""Sessions of browsers and single-use tickets, both found only by the hash of the browser's secret.

Expired rows count as gone in every look-up; `forget_expired` only keeps the tables small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from sqlalchemy import CursorResult, delete, func
from sqlmodel import Session, col, select

from services.control_plane.store.tables import SessionTable, TicketTable

TicketKind = Literal["link", "oidc"]
MAX_FORGOTTEN_ROWS: Final = 500
"""Of each table in a transaction: a sign-in after a long pause must not work off the whole backlog."""

MAX_TICKETS: Final = 10_000
"""Of a kind: sign-ins under way at the issuer last minutes, so this is far above any real crowd."""


def add_session(session: Session, id_hash: str, email: str, *, now: float, expires_at: float) -> None:
    """Note a new session, and forget some expired sessions."""
    forget_expired(session, now=now)
    session.add(SessionTable(id_hash=id_hash, email=email, created_at=now, expires_at=expires_at))


def session_email(session: Session, id_hash: str, *, now: float) -> str | None:
    """Tell the person of a session; None for a missing or expired session."""
    row = session.get(SessionTable, id_hash)
    return None if row is None or row.expires_at <= now else row.email


def end_session(session: Session, id_hash: str) -> None:
    """Forget a session; nothing when there is none."""
    session.execute(delete(SessionTable).where(col(SessionTable.id_hash) == id_hash))


def end_sessions_of(session: Session, email: str) -> int:
    """Forget every session of a person, and every unused one-time link; give how many sessions there were."""
    links = delete(TicketTable).where(
        col(TicketTable.kind) == "link", col(TicketTable.payload) == _payload_of({"email": email})
    )
    session.execute(links)
    result = session.execute(delete(SessionTable).where(col(SessionTable.email) == email))
    assert isinstance(result, CursorResult), "a DELETE without RETURNING"
    return result.rowcount


def add_ticket(
    session: Session, id_hash: str, kind: TicketKind, payload: Mapping[str, str], *, now: float, life: float
) -> None:
    """Note a ticket with a life of `life` seconds; forget some expired ones, and the oldest above the cap."""
    forget_expired(session, now=now)
    _make_room(session, kind)
    session.add(TicketTable(id_hash=id_hash, kind=kind, payload=_payload_of(payload), expires_at=now + life))


def _make_room(session: Session, kind: TicketKind) -> None:
    """Forget the oldest tickets of a kind where there are `MAX_TICKETS`: any visitor may ask for one more.

    Two writers at the same moment may leave a few more than the cap.
    """
    of_kind = col(TicketTable.kind) == kind
    there = session.exec(select(func.count()).select_from(TicketTable).where(of_kind)).one()
    if there < MAX_TICKETS:
        return
    oldest = select(TicketTable.id_hash).where(of_kind).order_by(col(TicketTable.expires_at))
    surplus = oldest.limit(there - MAX_TICKETS + 1)
    session.execute(delete(TicketTable).where(col(TicketTable.id_hash).in_(surplus)))


def _payload_of(payload: Mapping[str, str]) -> str:
    return json.dumps(dict(payload))


def has_ticket(session: Session, id_hash: str) -> bool:
    """Whether the ticket exists, without the lock of its use."""
    return session.get(TicketTable, id_hash) is not None


def use_ticket(session: Session, id_hash: str, kind: TicketKind, *, now: float) -> dict[str, Any] | None:
    """Take a ticket out, so it cannot be used again; None for a missing ticket."""
    taken = session.execute(
        delete(TicketTable)
        .where(col(TicketTable.id_hash) == id_hash, col(TicketTable.kind) == kind)
        .returning(col(TicketTable.payload), col(TicketTable.expires_at))
    ).one_or_none()
    if taken is None or taken[1] <= now:
        return None
    payload: dict[str, Any] = json.loads(taken[0])
    return payload


def forget_expired(session: Session, *, now: float) -> int:
    """Forget expired sessions and tickets, at most `MAX_FORGOTTEN_ROWS` of each; give how many."""
    gone = 0
    for table in (SessionTable, TicketTable):
        expired = select(table.id_hash).where(col(table.expires_at) <= now).limit(MAX_FORGOTTEN_ROWS)
        result = session.execute(delete(table).where(col(table.id_hash).in_(expired)))
        assert isinstance(result, CursorResult), "a DELETE without RETURNING"
        gone += result.rowcount
    return gone
