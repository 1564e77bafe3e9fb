"""Every setting of workers and reconciler, each with the reason for its value; `TILTSCOPE_<NAME>` sets it."""

import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.homes import ledger_in
from ledger.sealing import open_seal
from ledger.states import Work
from ledger.workers import WorkerIdentity

QUEUE: Final = "tiltscope"
WAKE: Final = "tiltscope.wake"
"""Celery's queue and the one task; the gateway sends it too."""

TENANT: Final = "default"
"""Whose models the scanned folder holds: the only tenant until requests are authenticated."""


class Settings(BaseSettings):
    """Settings of the worker side, read from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="TILTSCOPE_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: Path.home() / ".tiltscope",
        description="Folder of everything embedded mode keeps; the artefacts lie in `artefacts/` below it.",
    )
    artefact_store: str = Field(
        default="",
        description="Where artefacts are kept: `s3://bucket/prefix`, with credentials and endpoint in the "
        "usual `AWS_…` variables. Empty is `artefacts/` below `home`, which gateway and workers then share.",
    )
    database_url: str = Field(
        default="",
        description="The ledger; empty is SQLite under `home`, so that one folder is one installation.",
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Celery's broker; it carries wake-ups only, so that losing it loses nothing.",
    )
    models: Path | None = Field(
        default=None,
        description="Folder whose sub-folders are the models; unset is `models/` below `home`.",
    )
    boot_id: str = Field(
        default_factory=lambda: uuid.uuid4().hex,
        description="Names this start of the process, so that whoever sees it die can free its leases.",
    )

    works: Annotated[frozenset[Work], NoDecode] = Field(
        default=frozenset(Work),
        description="Works this worker claims, separated by commas: planning and finalising need no GPU.",
    )
    desk: bool = Field(
        default=True,
        description="Whether planning, judging and estimating have an engine host of their own, so that the "
        "model never waits for them; it takes another 0.4 GB. Off, they take turns with it.",
    )
    lease_seconds: float = Field(
        default=15.0,
        gt=0,
        description="How long a dead worker's shard stays taken; five renewals may fail before a live one's.",
    )
    renew_seconds: float = Field(
        default=3.0,
        gt=0,
        description="Between two renewals: how late a cancelled shard learns of it, for a small write each.",
    )
    poll_seconds: float = Field(
        default=2.0,
        gt=0,
        description="Between two looks at the ledger without a wake-up: the delay while Redis is down.",
    )
    progress_limit_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Silence after which an engine counts as hung: above the longest load of a large model.",
    )
    abort_grace_seconds: float = Field(
        default=5.0,
        ge=0,
        description="From asking an engine to stop to killing it: a batch of a small model, and less than "
        "the 10 s after which launchers kill a worker that drains.",
    )
    start_limit_seconds: float = Field(
        default=300.0,
        gt=0,
        description="For a new engine to say that it is ready: importing torch from a cold, shared disk.",
    )
    min_free_bytes: int = Field(
        default=256 << 20,
        ge=0,
        description="Free disk below which nothing is claimed: the artefact of a large shard still fits.",
    )
    host_command: tuple[str, ...] = Field(
        default=(),
        description="Program and arguments of the engine host; empty is this interpreter with "
        "`-m workers.host.main`. A JSON list in the environment.",
    )

    gpu: str = Field(
        default="",
        description="The GPU of this worker's engine, by UUID or index, as CUDA_VISIBLE_DEVICES takes it: "
        "one worker a GPU. Empty leaves what the process sees.",
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="CPU threads of an engine: two torch threads collapse when another process holds a core.",
    )
    gpu_precision: Literal["bfloat16", "float32"] = Field(
        default="bfloat16",
        description="Of models on a GPU: bfloat16 draws several times faster, and errs by some hundredths of "
        "a nat a token, which sums of long completions carry; float32 is as exact as on a CPU.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Sequences decoded together at most: results do not depend on it. Unset is 512 on a CPU, "
        "where a tiny model gains little beyond, and 4,096 on a GPU.",
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Tokens whose keys and values are held at once. Unset is 32,768 on a CPU, about 1.5 GB "
        "for 135 million parameters in float32, and what half of the free memory of a GPU holds.",
    )
    batch_tuning: bool | None = Field(
        default=None,
        description="Whether the batch size that draws fastest is measured once a model, up to `batch_size`: "
        "the last bits of log-probabilities depend on it. Unset is only on a GPU, where they vary anyway.",
    )
    judge_lanes: int = Field(
        default=2,
        ge=1,
        description="Texts judged at once by signals that judge in processes of their own or over HTTP: each "
        "may take a core and 0.2 GB.",
    )
    python_signal: bool = Field(
        default=False,
        description="Whether the signal `python` may run programs that models wrote, in a sandbox; set it "
        "for the gateway too.",
    )
    http_signal_hosts: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Hosts that the signal `http` may ask, separated by commas, `host` or `host:port`, over "
        "https; `*` is every public host. Empty is off. Set it for the gateway too.",
    )
    http_signal_loopback: bool = Field(
        default=False,
        description="Whether the signal `http` may ask this machine itself, over http and at any port: "
        "anyone who may submit an analysis then reaches what listens here.",
    )
    signal_secrets: dict[str, dict[str, SecretStr]] = Field(
        default={},
        description="Secrets for headers of the signal `http`: a JSON object of host to name to value. Each "
        "goes to its own host only, and into no spec, log or result.",
    )
    resident_models: int = Field(
        default=3,
        ge=2,
        description="Models an engine keeps loaded: scoring needs a pair, and the next candidate joins it.",
    )
    shard_tokens: int = Field(
        default=50_000,
        ge=1,
        description="New tokens planned for a shard: what is lost when its engine dies, and how often "
        "progress is durable. Half a minute of a small model on one CPU thread.",
    )

    shard_seconds: float = Field(
        default=0.0,
        ge=0,
        description="Engine time a shard is planned for, by the pace its models drew at lately, up to "
        "`shard_tokens`. 0 is `shard_tokens` always: then equal requests are cut alike, to the last bit.",
    )
    sample_cache: bool = Field(
        default=True,
        description="Whether samples that a tenant's other analyses drew are read instead of drawn again: "
        "the same, because a draw depends on what is sampled alone.",
    )
    tick_seconds: float = Field(
        default=1.0,
        gt=0,
        description="Between two ticks of the reconciler: the longest delay of recovery, for a few queries.",
    )
    scan_seconds: float = Field(
        default=2.0,
        gt=0,
        description="Between two looks at the models folder: only file sizes and times, unless one changed.",
    )
    collect_seconds: float = Field(
        default=300.0,
        gt=0,
        description="Between two collections of what outlived its retention: nobody waits for them.",
    )
    webhook_key: SecretStr = Field(
        default=SecretStr(""),
        description="Under which the gateway keeps secrets of webhooks; the same for both. Empty is a file "
        "in `home` with SQLite, and no webhooks with another database.",
    )
    webhook_http: bool = Field(default=False, description="Whether webhooks may lead to http.")
    webhook_ports: Annotated[frozenset[int], NoDecode] = Field(
        default=frozenset({443, 8443}),
        description="Ports that webhooks may lead to, separated by commas: those of https.",
    )
    webhook_loopback: bool = Field(
        default=False,
        description="Whether webhooks may lead to this machine itself, over http and at any port: for trying "
        "them out.",
    )
    webhook_lanes: int = Field(
        default=8,
        ge=1,
        description="Webhooks that are sent to at once: each gets one message at a time, and the slowest "
        "holds its lane for the limit.",
    )
    webhook_limit_seconds: float = Field(
        default=10.0,
        gt=0,
        description="For a receiver to answer: as GitHub's. It should take the message and work later.",
    )
    webhook_attempts: int = Field(
        default=14,
        ge=1,
        description="Attempts before a message is given up: about two days with these pauses, a weekend's "
        "outage.",
    )
    webhook_pause_seconds: float = Field(
        default=5.0,
        gt=0,
        description="Before the second attempt; four times longer before each one after.",
    )
    webhook_longest_pause_seconds: float = Field(
        default=21_600.0,
        gt=0,
        description="Between two attempts, by our own choice or by `Retry-After`: a receiver that is back "
        "hears within six hours.",
    )
    webhook_poll_seconds: float = Field(
        default=1.0,
        gt=0,
        description="Between two looks for messages that are due: a small query each.",
    )
    webhook_log_seconds: float = Field(
        default=30 * 86_400.0,
        gt=0,
        description="How long messages and their attempts are kept once they are taken or given up.",
    )
    hints_per_worker: int = Field(
        default=3,
        ge=1,
        description="Wake-ups in Redis for each live worker: one is enough, two more make up for lost ones.",
    )
    broker_timeout_seconds: float = Field(
        default=1.0,
        gt=0,
        description="For each exchange of the reconciler with the broker: workers poll, so it may give up.",
    )

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.database_url or ledger_in(self.home)

    @property
    def own_key_folder(self) -> Path | None:
        """Where a key is kept that nobody set: beside a ledger that lies in `home`, and nowhere else."""
        return self.home if self.ledger_url == ledger_in(self.home) else None

    @property
    def artefact_root(self) -> Path:
        """Where artefacts lie."""
        return self.home / "artefacts"

    @property
    def models_root(self) -> Path:
        """The folder that is scanned; models are loaded from below it only."""
        return self.models or self.home / "models"

    @property
    def host_program(self) -> tuple[str, ...]:
        """Program and arguments of the engine host."""
        return self.host_command or (sys.executable, "-m", "workers.host.main")

    def identity(self) -> WorkerIdentity:
        """Who this process is to the ledger."""
        host = socket.gethostname()
        return WorkerIdentity(id=f"{host}-{os.getpid()}", boot_id=self.boot_id, host=host)

    @field_validator("webhook_key")
    @classmethod
    def _is_key(cls, value: SecretStr) -> SecretStr:
        open_seal(value.get_secret_value(), None)
        return value

    @field_validator("works", "http_signal_hosts", "webhook_ports", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @model_validator(mode="after")
    def _renews_in_time(self) -> Self:
        if self.renew_seconds > self.lease_seconds / 2:
            raise ValueError(
                f"renew_seconds ({self.renew_seconds}) must be at most half of lease_seconds "
                f"({self.lease_seconds}): one failed renewal must not lose a shard"
            )
        if not self.works:
            raise ValueError("works is empty: this worker would never do anything")
        return self
