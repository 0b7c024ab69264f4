"""The whole configuration in the fleet's form, read in a single transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import cast

from sqlmodel import Session, col, select

from services.control_plane.store.changes import counter
from services.control_plane.store.nodes import all_nodes
from services.control_plane.store.tables import IntegrationTable, MemberTable, OrgTable
from shared.config_feed import IntegrationRow, OrgRow, Snapshot
from shared.providers import ProviderName


def snapshot(session: Session) -> Snapshot:
    """Read everything at the counter's revision; the session must be from `Database.read`."""
    at = counter(session)
    return Snapshot(
        epoch=at.epoch,
        revision=at.revision,
        integrations=tuple(_integrations(session)),
        orgs=tuple(_orgs(session)),
        nodes=tuple(all_nodes(session)),
    )


def _integrations(session: Session) -> list[IntegrationRow]:
    statement = select(
        IntegrationTable.org,
        IntegrationTable.provider,
        IntegrationTable.state,
        IntegrationTable.secret_version,
    ).where(col(IntegrationTable.state) != "not_set_up")
    rows = session.exec(statement.order_by(col(IntegrationTable.org), col(IntegrationTable.provider)))
    return [
        IntegrationRow(org, cast("ProviderName", provider), state == "enabled", version)
        for org, provider, state, version in rows
    ]


def _orgs(session: Session) -> list[OrgRow]:
    owners: dict[str, list[str]] = defaultdict(list)
    members = select(MemberTable.org, MemberTable.email).where(col(MemberTable.role) == "owner")
    for org, email in session.exec(members.order_by(col(MemberTable.email))):
        owners[org].append(email)
    live = select(OrgTable.org, OrgTable.name).where(col(OrgTable.removed).is_(False))
    rows = session.exec(live.order_by(col(OrgTable.org)))
    return [OrgRow(org, name, tuple(owners[org])) for org, name in rows]
