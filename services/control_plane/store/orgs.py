"""Orgs and their members: the writes of provisioning and every request's first question (a person's role)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlmodel import Session, col, select

from services.control_plane.rules.membership import Role
from services.control_plane.store.changes import AuditNote, Author, next_revision, record
from services.control_plane.store.tables import IntegrationTable, MemberTable, OrgTable
from shared.config_feed import OrgRow
from shared.providers import ProviderName


@dataclass(frozen=True, slots=True)
class OrgView:
    """An org as seen by a person of the org."""

    org: str
    name: str
    role: Role
    owners: tuple[str, ...]
    enabled: tuple[ProviderName, ...]


def live_org(session: Session, org: str) -> OrgTable | None:
    """Find an org, unless removed."""
    row = session.get(OrgTable, org)
    return None if row is None or row.removed else row


def role_of(session: Session, org: str, email: str) -> Role | None:
    """Tell a person's role; None for a stranger and for a missing org, alike."""
    if live_org(session, org) is None:
        return None
    member = session.get(MemberTable, (org, email))
    return member.role if member else None


def owners_of(session: Session, org: str) -> tuple[str, ...]:
    """The owners' addresses, sorted."""
    statement = select(MemberTable.email).where(col(MemberTable.org) == org, col(MemberTable.role) == "owner")
    return tuple(session.exec(statement.order_by(col(MemberTable.email))))


def enabled_in(session: Session, org: str) -> tuple[ProviderName, ...]:
    """The enabled providers, sorted."""
    rows = session.exec(
        select(IntegrationTable).where(
            col(IntegrationTable.org) == org, col(IntegrationTable.state) == "enabled"
        )
    )
    return tuple(sorted(row.provider for row in rows))


def members_of(session: Session, org: str, *, after: str, limit: int) -> list[MemberTable]:
    """The people of an org whose address is above `after`, by address, at most `limit`."""
    statement = select(MemberTable).where(col(MemberTable.org) == org, col(MemberTable.email) > after)
    return list(session.exec(statement.order_by(col(MemberTable.email)).limit(limit)))


def orgs_of(session: Session, email: str, *, after: str, limit: int) -> list[OrgView]:
    """The orgs of a person whose id is above `after`, by id, at most `limit`."""
    statement = (
        select(OrgTable, MemberTable)
        .join(MemberTable, col(MemberTable.org) == col(OrgTable.org))
        .where(col(MemberTable.email) == email, col(OrgTable.removed).is_(False), col(OrgTable.org) > after)
        .order_by(col(OrgTable.org))
        .limit(limit)
    )
    found = session.exec(statement).all()
    owners, enabled = _parts_of(session, [org.org for org, _ in found])
    return [
        OrgView(org.org, org.name, member.role, tuple(owners[org.org]), tuple(enabled[org.org]))
        for org, member in found
    ]


def _parts_of(
    session: Session, orgs: list[str]
) -> tuple[dict[str, list[str]], dict[str, list[ProviderName]]]:
    """Give the owners and the enabled providers of each org, sorted; two statements, however many orgs."""
    owners: dict[str, list[str]] = {org: [] for org in orgs}
    enabled: dict[str, list[ProviderName]] = {org: [] for org in orgs}
    members = select(MemberTable.org, MemberTable.email).where(
        col(MemberTable.org).in_(orgs), col(MemberTable.role) == "owner"
    )
    for org, email in session.exec(members.order_by(col(MemberTable.email))):
        owners[org].append(email)
    providers = select(IntegrationTable.org, IntegrationTable.provider).where(
        col(IntegrationTable.org).in_(orgs), col(IntegrationTable.state) == "enabled"
    )
    for org, provider in session.exec(providers.order_by(col(IntegrationTable.provider))):
        enabled[org].append(cast("ProviderName", provider))
    return owners, enabled


def put_org(session: Session, author: Author, org: str, name: str) -> bool:
    """Make or rename an org; False for an identical org, and nothing was written."""
    row = session.get(OrgTable, org)
    if row is not None and not row.removed and row.name == name:
        return False
    taken = next_revision(session)
    row = row or OrgTable(org=org, name=name, removed=False, revision=0, updated_at=0)
    row.name, row.removed, row.revision, row.updated_at = name, False, taken.revision, author.at
    session.add(row)
    session.flush()
    note = AuditNote(org, "org.put", org, {"name": name})
    record(session, taken, author, note, "put_org", OrgRow(org, name, owners_of(session, org)))
    return True


def remove_org(session: Session, author: Author, org: OrgTable) -> None:
    """Make an org a tombstone without members. Its integrations must have been cleared before."""
    taken = next_revision(session)
    for member in session.exec(select(MemberTable).where(col(MemberTable.org) == org.org)):
        session.delete(member)
    org.removed, org.revision, org.updated_at = True, taken.revision, author.at
    session.add(org)
    note = AuditNote(org.org, "org.removed", org.org, {})
    record(session, taken, author, note, "remove_org", OrgRow(org.org, org.name, ()))


def put_member(session: Session, author: Author, org: OrgTable, email: str, role: Role) -> bool:
    """Give a person a role; False for an identical role, and nothing was written."""
    member = session.get(MemberTable, (org.org, email))
    if member is not None and member.role == role:
        return False
    member = member or MemberTable(org=org.org, email=email, role=role, updated_at=author.at)
    member.role, member.updated_at = role, author.at
    session.add(member)
    _record_membership(session, author, org, AuditNote(org.org, "member.put", email, {"role": role}))
    return True


def remove_member(session: Session, author: Author, org: OrgTable, email: str) -> bool:
    """Take a person out; False for an absent person, and nothing was written."""
    member = session.get(MemberTable, (org.org, email))
    if member is None:
        return False
    session.delete(member)
    _record_membership(session, author, org, AuditNote(org.org, "member.removed", email, {}))
    return True


def _record_membership(session: Session, author: Author, org: OrgTable, note: AuditNote) -> None:
    """Book a change of members as a new row of the org: boxes are told the org's owners."""
    taken = next_revision(session)
    session.flush()
    org.revision, org.updated_at = taken.revision, author.at
    session.add(org)
    row = OrgRow(org.org, org.name, owners_of(session, org.org))
    record(session, taken, author, note, "put_org", row)
