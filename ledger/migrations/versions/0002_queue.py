"""What a claim looks at is indexed, so that it costs the same in a queue of ten thousand shards."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

shards = sa.table(
    "shards",
    sa.column("id", sa.Text),
    sa.column("state", sa.Text),
    sa.column("depends_on", sa.Text),
    sa.column("model_keys", sa.JSON),
    sa.column("blocked", sa.Boolean),
    sa.column("wants", sa.Text),
)


def upgrade() -> None:
    op.add_column("shards", sa.Column("blocked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("shards", sa.Column("wants", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.drop_column("shards", "priority")
    op.add_column(
        "analyses", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column(
        "analyses", sa.Column("claimed_at", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("workers", sa.Column("retired_at", sa.BigInteger()))
    op.add_column("workers", sa.Column("retired_because", sa.Text()))
    op.create_table(
        "clock_marks",
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot", name=op.f("pk_clock_marks")),
    )
    _fill()
    op.create_index(
        "ix_shards_queue",
        "shards",
        ["analysis_id", "state", "blocked", "work", "wants", "crashes", "round", "idx"],
    )
    op.create_index("ix_shards_dispatch", "shards", ["state", "blocked", "dispatched_at"])
    op.create_index(op.f("ix_analyses_tenant_id_claimed_at"), "analyses", ["tenant_id", "claimed_at"])
    op.create_index(op.f("ix_attempts_boot_id"), "attempts", ["boot_id"])


def _fill() -> None:
    conn = op.get_bind()
    sources = shards.alias("sources")
    drawn = sa.select(sources.c.id).where(sources.c.state == "DONE")
    conn.execute(
        shards.update()
        .where(shards.c.depends_on.is_not(None), shards.c.depends_on.not_in(drawn))
        .values(blocked=sa.true())
    )
    for shard_id, keys in conn.execute(sa.select(shards.c.id, shards.c.model_keys)).all():
        names = json.loads(keys) if isinstance(keys, str) else keys
        if names:
            wants = ",".join(sorted(set(names)))
            conn.execute(shards.update().where(shards.c.id == shard_id).values(wants=wants))
