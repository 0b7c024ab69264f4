"""The audit by organization and row: a page of a large organization's history is read off the index."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_org_id", "audit", ["org", "id"])
    op.drop_index("ix_audit_org", table_name="audit")


def downgrade() -> None:
    op.create_index("ix_audit_org", "audit", ["org"])
    op.drop_index("ix_audit_org_id", table_name="audit")
