"""Every setting of the gateway, each with the reason for its value; `TILTSCOPE_<NAME>` sets it."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from ledger.homes import ledger_in
from ledger.sealing import open_seal
from service.limits.settings import LimitSettings

REGISTRY_TENANT: Final = "default"
"""Under which the reconciler records models: the operator brings them, and every tenant may analyse them."""


LEAST_PEPPER: Final = 32
"""Characters of a pepper: 128 bits, if they are hexadecimal."""


class Settings(LimitSettings):
    """Settings of the gateway, read from the environment."""

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
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; loopback unless requests are authenticated.",
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on.")
    key_pepper: SecretStr = Field(
        default=SecretStr(""),
        description="Under which API keys are hashed, 32 characters at least, kept outside the database so "
        "that a copy of it tests no key. Changing it ends every key.",
    )
    oidc_issuer: str = Field(default="", description="`iss` of accepted tokens; empty accepts none.")
    oidc_audience: str = Field(default="tiltscope", description="`aud` that accepted tokens name.")
    oidc_jwks_url: str = Field(default="", description="Where the issuer's public keys are.")
    oidc_tenant_claim: str = Field(default="tenant", description="The claim that names a token's tenant.")
    oidc_scope_claim: str = Field(default="scope", description="The claim that holds a token's scopes.")
    oidc_max_lifetime_seconds: int = Field(
        default=900,
        ge=1,
        description="Longest life of an accepted token: it cannot be revoked, so a stolen one must end soon.",
    )
    allow_open: bool = Field(
        default=False,
        description="Listen on other addresses than loopback although anyone there may do anything.",
    )

    max_body_bytes: int = Field(
        default=8 << 20,
        ge=1,
        description="Bytes of a request body: 1,000 inline prompts of 8 KB. Hostile JSON takes twenty times "
        "its length once parsed.",
    )
    max_dataset_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="Bytes of a data set, received and inflated: 100,000 prompts of 2.6 KB. It is "
        "never in memory as a whole.",
    )
    max_dataset_prompts: int = Field(
        default=100_000,
        ge=1,
        description="Prompts of a data set: above any benchmark in use. Every worker that runs one holds it "
        "in memory.",
    )
    max_import_bytes: int = Field(
        default=1 << 30,
        ge=1,
        description="Bytes of an imported log, received and inflated: a million samples of 1 KB. Only the "
        "worker that parses it has it in memory.",
    )
    max_json_depth: int = Field(
        default=64,
        ge=1,
        le=500,
        description="Levels of nesting in a request: no document of the contract has more than 24, and a "
        "parser's stack ends near 1,000.",
    )
    max_listed_faults: int = Field(
        default=100,
        ge=1,
        description="Faults listed in one 422: enough to repair a file, small enough to read.",
    )
    max_planned_samples: int = Field(
        default=10_000_000,
        ge=1,
        description="Samples an analysis may plan over prompts and sides: weeks of one GPU.",
    )
    max_distinct_patterns: int = Field(
        default=2_000,
        ge=1,
        description="Distinct RE2 patterns in one request: compiling one may take 0.1 s of this process.",
    )
    max_wait_seconds: int = Field(
        default=60,
        ge=0,
        description="Longest `Prefer: wait`: proxies commonly cut a silent request after a minute.",
    )
    wait_poll_seconds: float = Field(
        default=0.25,
        gt=0,
        description="Between two looks at the ledger for a waiting request: below what a person notices.",
    )
    retry_after_seconds: int = Field(
        default=2,
        ge=1,
        description="`Retry-After` of accepted and unfinished analyses: a shard rarely ends sooner.",
    )
    retention_seconds: int | None = Field(
        default=None,
        ge=1,
        description="How long a finished analysis is kept; unset keeps it until it is deleted.",
    )

    python_signal: bool = Field(
        default=False,
        description="Whether the signal `python` is offered: workers run programs that models wrote.",
    )
    http_signal_hosts: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Hosts that the signal `http` may ask, separated by commas; empty is off. What workers "
        "are told, so that a request is refused before anything is sampled.",
    )
    http_signal_loopback: bool = Field(
        default=False,
        description="Whether the signal `http` may ask the workers' own machine.",
    )

    sample_cache: bool = Field(
        default=True,
        description="Whether workers read samples that were drawn before. What they are told, so that plans "
        "count on it.",
    )

    webhook_key: SecretStr = Field(
        default=SecretStr(""),
        description="Under which secrets of webhooks are kept: 32 bytes in URL-safe base64; several, "
        "separated by commas, while the first replaces the others. Empty is a file of its own in `home` with "
        "SQLite, and no webhooks with another database. The same for gateway and reconciler.",
    )
    webhook_http: bool = Field(
        default=False, description="Whether webhooks may lead to http. Set it for the reconciler too."
    )
    webhook_ports: Annotated[frozenset[int], NoDecode] = Field(
        default=frozenset({443, 8443}),
        description="Ports that webhooks may lead to, separated by commas: those of https. Set it for the "
        "reconciler too.",
    )
    webhook_loopback: bool = Field(
        default=False,
        description="Whether webhooks may lead to the reconciler's own machine, over http and at any port: "
        "for trying them out. Set it for the reconciler too.",
    )
    webhook_overlap_seconds: float = Field(
        default=86_400.0,
        ge=0,
        description="How long the secret of before a rotation signs too: a day to roll out the new one.",
    )
    max_webhooks: int = Field(
        default=20,
        ge=1,
        description="Webhooks of a tenant: each end of an analysis writes a message for every one.",
    )

    event_poll_seconds: float = Field(
        default=0.5,
        gt=0,
        description="Between two looks for new events of a stream: a query each, at most twice a second.",
    )
    event_heartbeat_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Longest silence of an event stream: proxies commonly cut at 30 s or 60 s.",
    )
    event_stream_seconds: float = Field(
        default=600.0,
        gt=0,
        description="Longest event stream: clients come back with Last-Event-ID, so that a restart of the "
        "gateway never waits for more.",
    )
    event_batch: int = Field(
        default=200, ge=1, description="Events read at once: a long history does not sit in memory."
    )
    max_event_streams: int = Field(
        default=200,
        ge=1,
        description="Event streams at once: each costs two queries a second; polling always suffices.",
    )

    wakeup_timeout_seconds: float = Field(
        default=1.0,
        gt=0,
        description="For connecting to the broker and each send: workers poll too, so giving up is cheap.",
    )
    wakeup_backlog: int = Field(
        default=64,
        ge=1,
        description="Wake-ups waiting for a slow broker: they carry nothing, so that more are dropped.",
    )
    min_free_bytes: int = Field(
        default=64 << 20,
        ge=0,
        description="Free disk below which the gateway is not ready: a report and a ledger page still fit.",
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

    @field_validator("webhook_key")
    @classmethod
    def _is_key(cls, value: SecretStr) -> SecretStr:
        open_seal(value.get_secret_value(), None)
        return value

    @field_validator("http_signal_hosts", "webhook_ports", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @model_validator(mode="after")
    def _closed_unless_told(self) -> Self:
        if self.auth == "open" and not self.allow_open and not is_loopback(self.host):
            raise ValueError(
                f"refusing to listen on {self.host}: requests are not authenticated, so anyone who reaches "
                "that address could run analyses and read results. Set TILTSCOPE_AUTH=required, use "
                "127.0.0.1 (TILTSCOPE_HOST), or set TILTSCOPE_ALLOW_OPEN=1 if a proxy in front authenticates"
            )
        return self

    @model_validator(mode="after")
    def _somebody_can_come_in(self) -> Self:
        if self.auth == "open":
            return self
        pepper = self.key_pepper.get_secret_value()
        if not pepper and not self.oidc_issuer:
            raise ValueError(
                "TILTSCOPE_AUTH=required needs TILTSCOPE_KEY_PEPPER (for API keys; `openssl rand -hex 32` "
                "makes one) or TILTSCOPE_OIDC_ISSUER with TILTSCOPE_OIDC_JWKS_URL (for tokens)"
            )
        if pepper and len(pepper) < LEAST_PEPPER:
            raise ValueError(f"TILTSCOPE_KEY_PEPPER has {len(pepper)} characters; it takes {LEAST_PEPPER}")
        if bool(self.oidc_issuer) != bool(self.oidc_jwks_url):
            raise ValueError("TILTSCOPE_OIDC_ISSUER and TILTSCOPE_OIDC_JWKS_URL go together")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost could be anything."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
