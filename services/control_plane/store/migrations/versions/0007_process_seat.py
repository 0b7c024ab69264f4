"""The seat of each data-plane process: the holder of a silent process's seat proves its end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default in the database, because a control plane of the former release writes no seat.
    op.add_column(
        "data_planes", sa.Column("seat", sa.String(64), nullable=False, server_default=sa.text("''"))
    )


def downgrade() -> None:
    op.drop_column("data_planes", "seat")
