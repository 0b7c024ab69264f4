"""How far a change has got: the reports of the fleet, as rows, and their result for an integration.

A silent process may be cut off and serve on (static stability), so the process stays in the count as unknown
until a report arrives, its end is proved by its last report or by a successor in its seat, or the operator's
time for silent processes is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from services.control_plane.store.changes import Counter, counter
from services.control_plane.store.rollout_times import RolloutTimes
from services.control_plane.store.tables import DataPlaneTable, IntegrationTable, TrafficTable
from shared.acknowledgement import (
    EXPIRY_SECONDS,
    Acknowledgement,
    Pending,
    Seen,
    decode_pending,
    encode_pending,
)


@dataclass(frozen=True, slots=True)
class Rollout:
    """Of `total` processes taking traffic, `live` enforce the integration at its present revision.

    Attributes:
        unknown: how many of `total` are silent, and did not enforce the revision in their last report.
        unknown_seconds: how long the longest silent of them has been silent; None without any.
        seconds: from the commit to the last of them; None while the change is not everywhere, or the time is
            unknown.
        accepted_at, rejected_at: the provider's latest verdicts on the org's key; None: nothing yet.
    """

    live: int
    total: int
    unknown: int
    unknown_seconds: float | None
    seconds: float | None
    accepted_at: float | None
    rejected_at: float | None


def note_report(session: Session, report: Acknowledgement, *, now: float, forget_seconds: float) -> None:
    """Keep a report in place of the process's last report, and forget ended processes.

    A silent process has ended when the reporter holds its seat. After `forget_seconds` of silence a process
    is taken as ended.
    """
    reported_at = col(DataPlaneTable.reported_at)
    ended = [col(DataPlaneTable.process) == report.process, reported_at <= now - forget_seconds]
    if report.seat:
        ended.append(and_(col(DataPlaneTable.seat) == report.seat, reported_at <= now - EXPIRY_SECONDS))
    session.execute(delete(DataPlaneTable).where(or_(*ended)))
    if not report.ended:
        _keep(session, report, now)
    # In one order for everybody: two reports that lock the same rows must not wait for each other.
    pinned = _pinned_versions(session, {seen.org for seen in report.seen})
    for seen in sorted(report.seen, key=lambda seen: (seen.org, seen.provider)):
        # What a provider said to a key that has been replaced says nothing of the key that is saved now.
        if seen.secret_version in {0, pinned.get((seen.org, seen.provider), 0)}:
            _note_seen(session, seen, now)


def _keep(session: Session, report: Acknowledgement, now: float) -> None:
    session.add(
        DataPlaneTable(
            process=report.process,
            epoch=report.epoch,
            applied_revision=report.applied_revision,
            applied_at=report.applied_at,
            ready=report.ready,
            pending=encode_pending(report.pending),
            is_all_pending=report.is_all_pending,
            reported_at=now,
            seat=report.seat,
        )
    )


def rollout_of(
    session: Session, row: IntegrationTable, times: RolloutTimes, *, now: float, forget_seconds: float
) -> Rollout:
    """Say how far the integration's last change has got; `times` remembers the duration."""
    at = counter(session)
    fleet = session.exec(
        select(DataPlaneTable).where(
            col(DataPlaneTable.ready).is_(True), col(DataPlaneTable.reported_at) > now - EXPIRY_SECONDS
        )
    ).all()
    unknown, unknown_seconds = _unknown(session, row, at, now=now, forget_seconds=forget_seconds)
    total = len(fleet) + unknown
    live = [process for process in fleet if _is_known(process, at) and _enforces(process, row)]
    traffic = session.get(TrafficTable, (row.org, row.provider)) or TrafficTable(
        org=row.org, provider=row.provider, accepted_at=None, rejected_at=None
    )
    seconds = times.seconds(
        (at.epoch, row.org, row.provider, row.revision),
        row.updated_at,
        # A later change has moved a process on, and with it what its report says.
        {one.process: one.applied_at if one.applied_revision == row.revision else None for one in live},
        everywhere=len(live) == total,
    )
    return Rollout(
        len(live), total, unknown, unknown_seconds, seconds, traffic.accepted_at, traffic.rejected_at
    )


def _unknown(
    session: Session, row: IntegrationTable, at: Counter, *, now: float, forget_seconds: float
) -> tuple[int, float | None]:
    """Count the silent processes that may serve an older state, and give the longest silence in seconds.

    A silent process that enforced the revision in its last report does not count: no position goes back.
    """
    silent = and_(
        col(DataPlaneTable.reported_at) <= now - EXPIRY_SECONDS,
        col(DataPlaneTable.reported_at) > now - forget_seconds,
    )
    counted = select(func.count(), func.min(DataPlaneTable.reported_at)).where(
        silent, ~_has_enforced(row, at)
    )
    count, since = session.exec(counted).one()
    return count, (now - since if count else None)


def _has_enforced(row: IntegrationTable, at: Counter) -> ColumnElement[bool]:
    """Whether the last report shows the revision in force; the database decides, so `pending` stays there."""
    applied = col(DataPlaneTable.applied_revision)
    nothing_pending = and_(
        col(DataPlaneTable.is_all_pending).is_(True), col(DataPlaneTable.pending) == encode_pending(())
    )
    return and_(
        col(DataPlaneTable.epoch) == at.epoch,
        applied.between(row.revision, at.revision),
        nothing_pending if row.state == "enabled" else true(),
    )


def _is_known(process: DataPlaneTable, at: Counter) -> bool:
    """Whether the process is at a known position: a process above the counter has lost commits."""
    return process.epoch == at.epoch and process.applied_revision <= at.revision


def _enforces(process: DataPlaneTable, row: IntegrationTable) -> bool:
    if process.applied_revision < row.revision:
        return False
    if row.state != "enabled":
        return True  # switching off and clearing need no secret
    return process.is_all_pending and Pending(row.org, row.provider) not in decode_pending(process.pending)


def _pinned_versions(session: Session, orgs: set[str]) -> dict[tuple[str, str], int]:
    """Give the version of the secret that each integration of these orgs uses; one statement."""
    if not orgs:
        return {}
    rows = select(IntegrationTable.org, IntegrationTable.provider, IntegrationTable.secret_version)
    found = session.exec(rows.where(col(IntegrationTable.org).in_(orgs)))
    return {(org, provider): version for org, provider, version in found}


def _note_seen(session: Session, seen: Seen, now: float) -> None:
    # Only shown to people of the org: a wrong clock or name does no more harm than that.
    at = min(seen.at, now)
    row = _traffic_row(session, seen)
    if seen.verdict == "accepted":
        row.accepted_at = max(at, row.accepted_at or 0.0)
    else:
        row.rejected_at = max(at, row.rejected_at or 0.0)
    session.add(row)


def _traffic_row(session: Session, seen: Seen) -> TrafficTable:
    """Give the row, locked; of two processes with the first answer at once, only one makes the row."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(TrafficTable).values(org=seen.org, provider=seen.provider).on_conflict_do_nothing()
    )
    return session.get_one(TrafficTable, (seen.org, seen.provider), with_for_update=True)
