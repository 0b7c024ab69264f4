"""The tables at the newest migration. Times are Unix seconds; no column can hold a key."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, String, Text, text
from sqlmodel import Field, SQLModel

from services.control_plane.rules.integration import State
from services.control_plane.rules.membership import Role
from shared.providers import ProviderName

COUNTER_ID: Final = 1
JANITOR_ID: Final = 1

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


class CounterRow(SQLModel, table=True):
    """The single row for ordering every change: the last revision taken, and the life of this database."""

    __tablename__ = "counter"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    epoch: str = Field(sa_column=Column(String(64), nullable=False))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))


class OrgTable(SQLModel, table=True):
    """An org. A removed org stays as a tombstone, so the versions of its secrets are never reused."""

    __tablename__ = "orgs"

    org: str = Field(sa_column=Column(String(128), primary_key=True))
    name: str = Field(sa_column=Column(String(200), nullable=False))
    removed: bool = Field(sa_column=Column(Boolean, nullable=False))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: float = Field(sa_column=Column(Double, nullable=False))


class MemberTable(SQLModel, table=True):
    """A person's role in an org. `email` is canonical (lower case)."""

    __tablename__ = "members"

    org: str = Field(foreign_key="orgs.org", primary_key=True, max_length=128)
    email: str = Field(sa_column=Column(String(254), primary_key=True, index=True))
    role: Role = Field(sa_column=Column(String(16), nullable=False))
    updated_at: float = Field(sa_column=Column(Double, nullable=False))


class IntegrationTable(SQLModel, table=True):
    """A provider of an org, pinned to a version of its secret. A cleared integration stays as a tombstone.

    Attributes:
        endpoint: canonical, equal to the secret's endpoint; for people to see. Empty when not set up.
        secret_version: the version in use, or the last version used.
        destroy_through: every version up to here must still be destroyed in the secret store.
    """

    __tablename__ = "integrations"

    org: str = Field(foreign_key="orgs.org", primary_key=True, max_length=128)
    provider: ProviderName = Field(sa_column=Column(String(32), primary_key=True))
    state: State = Field(sa_column=Column(String(16), nullable=False))
    endpoint: str = Field(sa_column=Column(String(2048), nullable=False))
    key_last4: str = Field(sa_column=Column(String(4), nullable=False))
    key_fingerprint: str = Field(sa_column=Column(String(64), nullable=False))
    key_updated_at: float | None = Field(sa_column=Column(Double, nullable=True))
    key_updated_by: str | None = Field(sa_column=Column(String(254), nullable=True))
    secret_version: int = Field(sa_column=Column(BigInteger, nullable=False))
    destroy_through: int | None = Field(sa_column=Column(BigInteger, nullable=True, index=True))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: float = Field(sa_column=Column(Double, nullable=False))
    updated_by: str = Field(sa_column=Column(String(254), nullable=False))


class NodeTable(SQLModel, table=True):
    """A node with the right to sign box tokens, by the keys in `node_keys`."""

    __tablename__ = "nodes"

    node: str = Field(sa_column=Column(String(128), primary_key=True))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: float = Field(sa_column=Column(Double, nullable=False))


class NodeKeyTable(SQLModel, table=True):
    """A key of a node; `place` orders a node's keys as the platform gave them."""

    __tablename__ = "node_keys"

    kid: str = Field(sa_column=Column(String(128), primary_key=True))
    node: str = Field(foreign_key="nodes.node", max_length=128, index=True)
    public_key: str = Field(sa_column=Column(String(64), nullable=False))
    place: int = Field(sa_column=Column(Integer, nullable=False))


class AuditTable(SQLModel, table=True):
    """A change, for people: author, action and part, with the revision. `details` is a JSON object."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_org_id", "org", "id"),)

    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=True))
    org: str | None = Field(sa_column=Column(String(128), nullable=True))
    at: float = Field(sa_column=Column(Double, nullable=False))
    actor: str = Field(sa_column=Column(String(254), nullable=False))
    action: str = Field(sa_column=Column(String(64), nullable=False))
    target: str = Field(sa_column=Column(String(254), nullable=False))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    details: str = Field(sa_column=Column(Text, nullable=False))


class OutboxTable(SQLModel, table=True):
    """An event on its way to the bus, as the bytes to send; `published_at` is set on arrival."""

    __tablename__ = "outbox"

    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    event: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: float = Field(sa_column=Column(Double, nullable=False))
    published_at: float | None = Field(sa_column=Column(Double, nullable=True, index=True))


class SessionTable(SQLModel, table=True):
    """A signed-in browser. `id_hash` is the SHA-256 of its cookie's value, in hex."""

    __tablename__ = "sessions"

    id_hash: str = Field(sa_column=Column(String(64), primary_key=True))
    email: str = Field(sa_column=Column(String(254), nullable=False))
    created_at: float = Field(sa_column=Column(Double, nullable=False))
    expires_at: float = Field(sa_column=Column(Double, nullable=False, index=True))


class TicketTable(SQLModel, table=True):
    """A sign-in under way, good for a single use. `payload` is a JSON object depending on `kind`."""

    __tablename__ = "sign_in_tickets"

    id_hash: str = Field(sa_column=Column(String(64), primary_key=True))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    payload: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: float = Field(sa_column=Column(Double, nullable=False, index=True))


class DataPlaneTable(SQLModel, table=True):
    """The last report of a data-plane process; see `shared/acknowledgement.py`."""

    __tablename__ = "data_planes"

    process: str = Field(sa_column=Column(String(128), primary_key=True))
    epoch: str = Field(sa_column=Column(String(64), nullable=False))
    applied_revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    applied_at: float = Field(sa_column=Column(Double, nullable=False))
    ready: bool = Field(sa_column=Column(Boolean, nullable=False))
    pending: str = Field(sa_column=Column(Text, nullable=False))
    is_all_pending: bool = Field(sa_column=Column(Boolean, nullable=False))
    reported_at: float = Field(sa_column=Column(Double, nullable=False, index=True))
    seat: str = Field(sa_column=Column(String(64), nullable=False, server_default=text("''")))


class TrafficTable(SQLModel, table=True):
    """When a provider last accepted and last rejected an org's key, as real requests showed."""

    __tablename__ = "traffic"

    org: str = Field(sa_column=Column(String(128), primary_key=True))
    provider: ProviderName = Field(sa_column=Column(String(32), primary_key=True))
    accepted_at: float | None = Field(sa_column=Column(Double, nullable=True))
    rejected_at: float | None = Field(sa_column=Column(Double, nullable=True))


class JanitorTable(SQLModel, table=True):
    """The single row with the position of the janitor of secrets: after which org, in a round begun when."""

    __tablename__ = "janitor"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    after_org: str = Field(sa_column=Column(String(128), nullable=False))
    began_at: float = Field(sa_column=Column(Double, nullable=False))
