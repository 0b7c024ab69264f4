"""The common part of every change: the next revision, an audit row and an outbox row, in one transaction.

Revisions come from a single row by `UPDATE … RETURNING`: the row stays locked until the commit, so revisions
are free of gaps and in commit order, which a sequence's numbers are not.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import update
from sqlmodel import Session, col, select

from services.control_plane.store.database import AUDITED, Database
from services.control_plane.store.tables import COUNTER_ID, AuditTable, CounterRow, OutboxTable
from shared.config_feed import Event, IntegrationRow, NodeRow, OrgRow, encode_event

Op = Literal["put_integration", "clear_integration", "put_org", "remove_org", "put_node", "remove_node"]
PLATFORM: Final = "platform"
"""The actor of provisioning, in audit rows and `updated_by`."""
_TAKEN: Final = "aigw_taken"
"""A session's place for the last position made by its transaction."""
_OPS: Final = "aigw_ops"
"""A session's place for the kinds of the changes made by its transaction."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the feed stands."""

    epoch: str
    revision: int


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a change, and its time (Unix seconds)."""

    actor: str
    at: float


@dataclass(frozen=True, slots=True)
class AuditNote:
    """The audit's text on a change. `details` is JSON-ready and holds no secret."""

    org: str | None
    action: str
    target: str
    details: Mapping[str, object]


@contextmanager
def changing(database: Database) -> Iterator[Session]:
    """A write that excludes all other changes: the values read are still true at the commit.

    SQLite has a single writer anyway; elsewhere every change takes the lock on the counter row first. A
    counter behind a position seen as committed by this process belongs to a database with lost commits: the
    change is then the first of a new epoch.
    """
    high_water = database.high_water
    with database.write() as session:
        row = session.exec(select(CounterRow).where(col(CounterRow.id) == COUNTER_ID).with_for_update()).one()
        if high_water.is_above(row.epoch, row.revision):
            _log.error("commits are lost: the database is at revision %d; a new epoch begins", row.revision)
            begin_epoch(session)
        yield session
    database.changes.update(session.info.get(_OPS, ()))
    made: Counter | None = session.info.get(_TAKEN)
    if made is not None:
        high_water.note(made.epoch, made.revision)


def require_commit(database: Database) -> None:
    """Commit an empty write: the next step is useful only if commits succeed.

    Raises:
        DatabaseUnavailable: the database takes no writes now.
    """
    with database.quiet_write() as session:
        session.execute(
            update(CounterRow).where(col(CounterRow.id) == COUNTER_ID).values(id=col(CounterRow.id))
        )


def counter(session: Session) -> Counter:
    """Read where the feed stands."""
    row = session.exec(select(CounterRow).where(col(CounterRow.id) == COUNTER_ID)).one()
    return Counter(row.epoch, row.revision)


def next_revision(session: Session) -> Counter:
    """Take the next revision; every later writer waits until this transaction ends."""
    taken = session.execute(
        update(CounterRow)
        .where(col(CounterRow.id) == COUNTER_ID)
        .values(revision=col(CounterRow.revision) + 1)
        .returning(col(CounterRow.epoch), col(CounterRow.revision))
    ).one()
    return _made(session, Counter(taken[0], taken[1]))


def begin_epoch(session: Session) -> Counter:
    """Begin a new life of the database, which was restored or has lost commits: readers take a snapshot.

    Unpublished events of the restored rows belong to the life before, and their content is in the snapshot.
    """
    session.execute(
        update(OutboxTable)
        .where(col(OutboxTable.published_at).is_(None))
        .values(published_at=col(OutboxTable.created_at))
    )
    epoch = uuid.uuid4().hex
    session.execute(update(CounterRow).where(col(CounterRow.id) == COUNTER_ID).values(epoch=epoch))
    session.expire_all()
    return _made(session, counter(session))


def _made(session: Session, at: Counter) -> Counter:
    session.info[_TAKEN] = at
    return at


def record(
    session: Session,
    taken: Counter,
    author: Author,
    note: AuditNote,
    op: Op,
    row: IntegrationRow | OrgRow | NodeRow,
) -> None:
    """Add the audit row and the event of the `taken` revision."""
    session.info.setdefault(_OPS, []).append(op)
    add_audit_row(session, taken.revision, author, note)
    event = Event(
        epoch=taken.epoch,
        revision=taken.revision,
        op=op,
        integration=row if isinstance(row, IntegrationRow) else None,
        org=row if isinstance(row, OrgRow) else None,
        node=row if isinstance(row, NodeRow) else None,
        at=author.at,
    )
    session.add(
        OutboxTable(
            revision=taken.revision, event=encode_event(event), created_at=author.at, published_at=None
        )
    )


def add_audit_row(session: Session, revision: int, author: Author, note: AuditNote) -> None:
    """Add a row to the audit; the database gives the row to its listeners once it is committed."""
    row = AuditTable(
        org=note.org,
        at=author.at,
        actor=author.actor,
        action=note.action,
        target=note.target,
        revision=revision,
        details=json.dumps(dict(note.details), sort_keys=True),
    )
    session.add(row)
    session.info.setdefault(AUDITED, []).append(row)
