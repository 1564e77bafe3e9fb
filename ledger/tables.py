"""The ledger's tables: text ids, integer microseconds, generic JSON; SQLite and PostgreSQL alike."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# None is SQL NULL everywhere, never the JSON literal null.
Document: Final = JSON(none_as_null=True)

analyses = Table(
    "analyses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("labels", Document, nullable=False),
    Column("status", Text, nullable=False),
    Column("partial", Boolean, nullable=False, server_default=false()),
    Column("version", BigInteger, nullable=False),
    Column("phase", Text, nullable=False),
    Column("spec_sha256", Text, nullable=False),
    Column("verdict", Text),
    Column("error", Document),  # problem of a failed analysis
    Column("errors", Document, nullable=False),  # [{prompt_id, code, detail}] of quarantined items
    Column("warnings", Document, nullable=False),  # [{code, detail}]
    Column("artifacts", Document, nullable=False),  # name -> {key, sha256, bytes, media_type}
    Column(
        "revision", Integer, nullable=False, server_default=text("1")
    ),  # one more each time it is extended
    Column("result_revision", Integer),  # of the result that the artifacts are
    Column("extended_at", BigInteger),  # last
    Column("event_seq", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),  # among its tenant's; higher first
    Column("claimed_at", BigInteger, nullable=False, server_default=text("0")),  # last time a shard was taken
    Column("finish_as", Text),  # cancelled | expired once told to end early
    Column("cancel_requested_at", BigInteger),
    Column("deadline_at", BigInteger),
    Column("retention_seconds", Float),  # NULL keeps the analysis until it is deleted
    Column("retained_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "claimed_at"),
    Index(None, "status"),
)

requests = Table(
    "requests",
    metadata,
    Column("analysis_id", Text, ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("spec", Document, nullable=False),
    PrimaryKeyConstraint("analysis_id", "revision"),
)

shards = Table(
    "shards",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("analysis_id", Text, ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("idx", Integer, nullable=False),  # -1 is the round's plan shard
    Column("work", Text, nullable=False),
    Column("stream", Text),
    Column("scorer", Text),
    Column("items", Document, nullable=False),  # [[prompt_index, sample_lo, sample_hi], ...]
    Column("planned_rows", BigInteger, nullable=False),
    Column("depends_on", Text, ForeignKey("shards.id", ondelete="CASCADE")),
    Column("model_keys", Document, nullable=False),  # weights digests wanted resident
    Column("wants", Text, nullable=False, server_default=text("''")),  # the same, sorted, as one word
    Column("state", Text, nullable=False),
    Column("blocked", Boolean, nullable=False, server_default=false()),  # READY, but its samples are not DONE
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("boot_id", Text),
    Column("lease_until", BigInteger),
    Column("progress", BigInteger, nullable=False, server_default=text("0")),  # rows of the running attempt
    Column("progress_at", BigInteger),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("not_before", BigInteger, nullable=False, server_default=text("0")),
    Column("dispatched_at", BigInteger),
    Column("artefact_key", Text),
    Column("artefact_sha256", Text),
    Column("n_rows", BigInteger),
    Column("usage", Document),
    Column("error", Document),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    UniqueConstraint("analysis_id", "round", "idx"),
    Index(None, "state", "analysis_id"),
    Index(None, "depends_on"),
    # One step of a claim, whatever the number of shards: see ledger.queue.
    Index("ix_shards_queue", "analysis_id", "state", "blocked", "work", "wants", "crashes", "round", "idx"),
    Index("ix_shards_dispatch", "state", "blocked", "dispatched_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("shard_id", Text, ForeignKey("shards.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("outcome", Text),  # done | released | failed | crashed | lost | cancelled
    Column("detail", Text),
    Column("engine_seconds", Float),
    PrimaryKeyConstraint("shard_id", "epoch"),
    Index(None, "boot_id"),
)

drawn_samples = Table(
    "drawn_samples",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("draw_key", Text, nullable=False),  # see ledger.sample_cache.draw_key
    Column("shard_id", Text, ForeignKey("shards.id", ondelete="CASCADE"), nullable=False),
    Column("lo", BigInteger, nullable=False),
    Column("hi", BigInteger, nullable=False),
    PrimaryKeyConstraint("shard_id", "draw_key", "lo"),
    Index(None, "tenant_id", "draw_key"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("boot_id", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("resident", Document, nullable=False),  # weights digests loaded now
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),  # it took itself out of service
    Column("retired_because", Text),
)

clock_marks = Table(
    "clock_marks",
    metadata,
    Column("boot", Text, primary_key=True),  # of the machine, since the steady clock starts anew with it
    Column("offset_us", BigInteger, nullable=False),  # wall clock minus steady clock, when last looked at
)

events = Table(
    "events",
    metadata,
    Column("analysis_id", Text, ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("type", Text, nullable=False),  # status | progress | round | warning | extended | done
    Column("body", Document, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("analysis_id", "seq"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("status", Integer, nullable=False),  # HTTP status of the stored response
    Column("response", Document, nullable=False),
    Column("analysis_id", Text),  # no foreign key: a replay outlives a deleted analysis
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "route", "key"),
)

models = Table(
    "models",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # model | adapter
    Column("path", Text, nullable=False),
    Column("weights_digest", Text),
    Column("adapter_digest", Text),
    Column("tokenizer_digest", Text),
    Column("architecture", Text),
    Column("parameters", BigInteger),
    Column("bytes", BigInteger),
    Column("context_length", Integer),
    Column("base", Text),  # id of the adapter's base model
    Column("state", Text, nullable=False),  # ready | invalid
    Column("error", Text),
    Column("scanned_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
)

registry_scans = Table(
    "registry_scans",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("root", Text, nullable=False),  # the folder that was scanned
    Column("scanned_at", BigInteger, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("name", Text),
    Column("sha256", Text, nullable=False),  # of the artefact: equal content has one id
    Column("bytes", BigInteger, nullable=False),
    Column("artefact_key", Text, nullable=False),
    Column("prompts", Integer, nullable=False),
    Column("families", Integer, nullable=False),
    Column("splits", Document, nullable=False),  # name -> prompts
    Column("prompt_ids", Document, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "sha256"),
    Index(None, "artefact_key"),
)

uses = Table(
    "uses",
    metadata,
    Column("analysis_id", Text, ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
    Column("resource_id", Text, nullable=False),  # a data set or an import
    PrimaryKeyConstraint("analysis_id", "resource_id"),
    Index(None, "resource_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text),
    Column("url", Text, nullable=False),
    Column("events", Document, nullable=False),
    Column("secret", Text, nullable=False),  # sealed, see ledger.sealing
    Column("old_secret", Text),  # of before the last rotation, sealed
    Column("old_until", BigInteger),  # until when it signs too
    Column("created_at", BigInteger, nullable=False),
    Index(None, "tenant_id", "created_at", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),  # the message's webhook-id
    Column("tenant_id", Text, nullable=False),
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Document, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("sent_at", BigInteger),
    Column("given_up_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "sent_at", "given_up_at", "next_at"),
    Index(None, "webhook_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", Text, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),  # 1, 2, …; one that died with its process has no row
    Column("status", Integer),  # HTTP status; NULL without an answer
    Column("error", Text),
    Column("outcome", Text, nullable=False),  # delivered | retried | given_up
    Column("next_at", BigInteger),
    Column("attempted_at", BigInteger, nullable=False),
    Index(None, "webhook_id", "attempted_at", "id"),
    Index(None, "message_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("keyed_hash", Text, nullable=False),  # HMAC of the secret under a pepper kept elsewhere
    Column("scopes", Document, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    Index(None, "tenant_id", "created_at", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "tenant_id", "created_at", "id"),
)
