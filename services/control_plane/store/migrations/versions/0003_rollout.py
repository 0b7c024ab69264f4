"""How far changes have got: the last report of each data-plane process, and what traffic showed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_planes",
        sa.Column("process", sa.String(128), primary_key=True),
        sa.Column("epoch", sa.String(64), nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.Double(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("pending", sa.Text(), nullable=False),
        sa.Column("is_all_pending", sa.Boolean(), nullable=False),
        sa.Column("reported_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_data_planes_reported_at", "data_planes", ["reported_at"])
    op.create_table(
        "traffic",
        sa.Column("org", sa.String(128), primary_key=True),
        sa.Column("provider", sa.String(32), primary_key=True),
        sa.Column("accepted_at", sa.Double(), nullable=True),
        sa.Column("rejected_at", sa.Double(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("traffic")
    op.drop_table("data_planes")
