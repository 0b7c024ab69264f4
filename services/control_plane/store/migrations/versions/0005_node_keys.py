"""Several keys per node: each key has a row, so that an old and a new one overlap while they are rotated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("nodes", "nodes_with_one_key")
    _create_nodes()
    op.execute("INSERT INTO nodes SELECT node, revision, updated_at FROM nodes_with_one_key")
    op.create_table(
        "node_keys",
        sa.Column("kid", sa.String(128), primary_key=True),
        sa.Column("node", sa.String(128), sa.ForeignKey("nodes.node"), nullable=False),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
    )
    op.create_index("ix_node_keys_node", "node_keys", ["node"])
    op.execute("INSERT INTO node_keys SELECT kid, node, public_key, 0 FROM nodes_with_one_key")
    op.drop_table("nodes_with_one_key")


def downgrade() -> None:
    """Keep each node's first key; further ones are lost."""
    op.rename_table("nodes", "nodes_with_keys")
    _create_nodes(
        sa.Column("kid", sa.String(128), nullable=False, unique=True),
        sa.Column("public_key", sa.String(64), nullable=False),
    )
    op.execute(
        "INSERT INTO nodes SELECT n.node, k.kid, k.public_key, n.revision, n.updated_at"
        " FROM nodes_with_keys n JOIN node_keys k ON k.node = n.node AND k.place = 0"
    )
    op.drop_table("node_keys")
    op.drop_table("nodes_with_keys")


def _create_nodes(*key_columns: sa.Column[str]) -> None:
    op.create_table(
        "nodes",
        sa.Column("node", sa.String(128), primary_key=True),
        *key_columns,
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )
