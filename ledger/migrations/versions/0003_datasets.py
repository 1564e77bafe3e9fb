"""Data sets, and what analyses use."""

import sqlalchemy as sa
from alembic import op

document = sa.JSON(none_as_null=True)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("artefact_key", sa.Text(), nullable=False),
        sa.Column("prompts", sa.Integer(), nullable=False),
        sa.Column("families", sa.Integer(), nullable=False),
        sa.Column("splits", document, nullable=False),
        sa.Column("prompt_ids", document, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_datasets"),
        sa.UniqueConstraint("tenant_id", "sha256", name="uq_datasets_tenant_id_sha256"),
    )
    op.create_index("ix_datasets_artefact_key", "datasets", ["artefact_key"])
    op.create_table(
        "uses",
        sa.Column("analysis_id", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], ondelete="CASCADE", name="fk_uses_analysis_id"
        ),
        sa.PrimaryKeyConstraint("analysis_id", "resource_id", name="pk_uses"),
    )
    op.create_index("ix_uses_resource_id", "uses", ["resource_id"])


def downgrade() -> None:
    op.drop_table("uses")
    op.drop_table("datasets")
