"""Where the janitor of secrets is in its round."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    janitor = op.create_table(
        "janitor",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("after_org", sa.String(128), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
    )
    op.bulk_insert(janitor, [{"id": 1, "after_org": "", "began_at": 0.0}])


def downgrade() -> None:
    op.drop_table("janitor")
