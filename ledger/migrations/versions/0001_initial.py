"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

document = sa.JSON(none_as_null=True)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("labels", document, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("partial", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("spec", document, nullable=False),
        sa.Column("spec_sha256", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text()),
        sa.Column("error", document),
        sa.Column("errors", document, nullable=False),
        sa.Column("warnings", document, nullable=False),
        sa.Column("artifacts", document, nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("finish_as", sa.Text()),
        sa.Column("cancel_requested_at", sa.BigInteger()),
        sa.Column("deadline_at", sa.BigInteger()),
        sa.Column("retention_seconds", sa.Float()),
        sa.Column("retained_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
    )
    op.create_index(op.f("ix_analyses_status"), "analyses", ["status"], unique=False)
    op.create_index(
        op.f("ix_analyses_tenant_id_created_at_id"),
        "analyses",
        ["tenant_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "idempotency",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", document, nullable=False),
        sa.Column("analysis_id", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "models",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("weights_digest", sa.Text()),
        sa.Column("adapter_digest", sa.Text()),
        sa.Column("tokenizer_digest", sa.Text()),
        sa.Column("architecture", sa.Text()),
        sa.Column("parameters", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("context_length", sa.Integer()),
        sa.Column("base", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("scanned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_models")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", document, nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_sent_at_next_at"), "outbox", ["sent_at", "next_at"], unique=False)
    op.create_table(
        "registry_scans",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("scanned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_registry_scans")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("resident", document, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "events",
        sa.Column("analysis_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", document, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_events_analysis_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("analysis_id", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "shards",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("analysis_id", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("work", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text()),
        sa.Column("scorer", sa.Text()),
        sa.Column("items", document, nullable=False),
        sa.Column("planned_rows", sa.BigInteger(), nullable=False),
        sa.Column("depends_on", sa.Text()),
        sa.Column("model_keys", document, nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("boot_id", sa.Text()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("progress", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("progress_at", sa.BigInteger()),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dispatched_at", sa.BigInteger()),
        sa.Column("artefact_key", sa.Text()),
        sa.Column("artefact_sha256", sa.Text()),
        sa.Column("n_rows", sa.BigInteger()),
        sa.Column("usage", document),
        sa.Column("error", document),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_shards_analysis_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["depends_on"], ["shards.id"], name=op.f("fk_shards_depends_on"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shards")),
        sa.UniqueConstraint("analysis_id", "round", "idx", name=op.f("uq_shards_analysis_id_round_idx")),
    )
    op.create_index(op.f("ix_shards_depends_on"), "shards", ["depends_on"], unique=False)
    op.create_index(op.f("ix_shards_state_analysis_id"), "shards", ["state", "analysis_id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("shard_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("outcome", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("engine_seconds", sa.Float()),
        sa.ForeignKeyConstraint(
            ["shard_id"], ["shards.id"], name=op.f("fk_attempts_shard_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("shard_id", "epoch", name=op.f("pk_attempts")),
    )


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_index(op.f("ix_shards_state_analysis_id"), table_name="shards")
    op.drop_index(op.f("ix_shards_depends_on"), table_name="shards")
    op.drop_table("shards")
    op.drop_table("events")
    op.drop_table("workers")
    op.drop_index(op.f("ix_outbox_sent_at_next_at"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("registry_scans")
    op.drop_table("models")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_analyses_tenant_id_created_at_id"), table_name="analyses")
    op.drop_index(op.f("ix_analyses_status"), table_name="analyses")
    op.drop_table("analyses")
