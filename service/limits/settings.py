"""Settings of what callers may use, each with the reason for its value."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

Limit = Literal["rate_limit", "max_open_analyses", "max_waiting_rows", "max_queued_analyses"]


class LimitSettings(BaseSettings):
    """The part of the gateway's settings that says how much is too much."""

    auth: Literal["open", "required"] = Field(
        default="open",
        description="`required`: every request but health and the contract names an API key or a token. "
        "`open`: nobody is asked; on loopback only.",
    )
    rate_limit: int = Field(
        default=1_200,
        ge=0,
        description="Requests a minute of one key or token, 0 for any: 20 a second follow a hundred analyses "
        "by polling each every five seconds. Counted in Redis for all gateways.",
    )
    rate_pause_seconds: float = Field(
        default=5.0,
        ge=0,
        description="How long each gateway counts requests alone after Redis failed: an answer must not wait "
        "for a broker that is away, and it is asked again soon.",
    )
    max_open_analyses: int = Field(
        default=500,
        ge=0,
        description="Analyses of a tenant that have not ended, 0 for any: a sweep over a run's checkpoints "
        "and benchmarks, and far from what makes a claim slow.",
    )
    max_waiting_rows: int = Field(
        default=20_000_000,
        ge=0,
        description="Samples of a tenant that wait to be drawn, judged or scored, 0 for any: two of the "
        "largest analyses that may be planned.",
    )
    max_queued_analyses: int = Field(
        default=2_000,
        ge=0,
        description="Analyses of all tenants that wait for their first worker, 0 for any; beyond it the "
        "service is overloaded once the first has waited for `overload_seconds`.",
    )
    overload_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long the first in a long queue may wait: a burst is worked off in this time, a "
        "fleet that is too small never works it off.",
    )
    quota_retry_seconds: float = Field(
        default=30.0,
        gt=0,
        description="`Retry-After` at a tenant's quota: few analyses end sooner. Up to a fifth is added.",
    )
    overload_retry_seconds: float = Field(
        default=120.0,
        gt=0,
        description="`Retry-After` of an overloaded service: a worker that is started takes this long. Up "
        "to a fifth is added.",
    )

    def limit(self, name: Limit) -> int:
        """A limit on callers; 0 is none.

        Where requests are not authenticated nobody can be told from anybody: then only what was set counts.
        """
        counts = self.auth == "required" or name in self.model_fields_set
        value: int = getattr(self, name)
        return value if counts else 0
