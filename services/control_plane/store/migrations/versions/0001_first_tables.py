"""The first tables: counter, orgs, members, integrations, nodes, audit, outbox."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_counter()
    _create_orgs()
    _create_members()
    _create_integrations()
    _create_nodes()
    _create_audit()
    _create_outbox()


def downgrade() -> None:
    for table in ("outbox", "audit", "nodes", "integrations", "members", "orgs", "counter"):
        op.drop_table(table)


def _create_counter() -> None:
    counter = op.create_table(
        "counter",
        sa.Column("id", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("epoch", sa.String(64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "epoch": uuid.uuid4().hex, "revision": 0}])


def _create_orgs() -> None:
    op.create_table(
        "orgs",
        sa.Column("org", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )


def _create_members() -> None:
    op.create_table(
        "members",
        sa.Column("org", sa.String(128), sa.ForeignKey("orgs.org"), primary_key=True),
        sa.Column("email", sa.String(254), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_members_email", "members", ["email"])


def _create_integrations() -> None:
    op.create_table(
        "integrations",
        sa.Column("org", sa.String(128), sa.ForeignKey("orgs.org"), primary_key=True),
        sa.Column("provider", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("endpoint", sa.String(2048), nullable=False),
        sa.Column("key_last4", sa.String(4), nullable=False),
        sa.Column("key_fingerprint", sa.String(64), nullable=False),
        sa.Column("key_updated_at", sa.Double(), nullable=True),
        sa.Column("key_updated_by", sa.String(254), nullable=True),
        sa.Column("secret_version", sa.BigInteger(), nullable=False),
        sa.Column("destroy_through", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("updated_by", sa.String(254), nullable=False),
    )
    op.create_index("ix_integrations_destroy_through", "integrations", ["destroy_through"])


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("node", sa.String(128), primary_key=True),
        sa.Column("kid", sa.String(128), nullable=False, unique=True),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("org", sa.String(128), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(254), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target", sa.String(254), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_index("ix_audit_org", "audit", ["org"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("published_at", sa.Double(), nullable=True),
    )
    op.create_index("ix_outbox_published_at", "outbox", ["published_at"])
