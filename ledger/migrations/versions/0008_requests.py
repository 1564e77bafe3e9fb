"""Requests in a table of their own, one for each revision of an analysis."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("analysis_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["analyses.id"],
            name=op.f("fk_requests_analysis_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "revision", name=op.f("pk_requests")),
    )
    op.execute(
        "INSERT INTO requests (analysis_id, revision, tenant_id, spec) "
        "SELECT id, revision, tenant_id, spec FROM analyses"
    )
    op.drop_column("analyses", "spec")
