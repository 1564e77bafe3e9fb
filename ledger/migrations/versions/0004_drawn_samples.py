"""Which samples each committed shard drew, for other analyses to read instead of drawing again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drawn_samples",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("draw_key", sa.Text(), nullable=False),
        sa.Column("shard_id", sa.Text(), nullable=False),
        sa.Column("lo", sa.BigInteger(), nullable=False),
        sa.Column("hi", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shard_id"],
            ["shards.id"],
            name=op.f("fk_drawn_samples_shard_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("shard_id", "draw_key", "lo", name=op.f("pk_drawn_samples")),
    )
    op.create_index(op.f("ix_drawn_samples_tenant_id_draw_key"), "drawn_samples", ["tenant_id", "draw_key"])
