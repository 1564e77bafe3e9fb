"""What use cases work with; built once, in `service.app`."""

from dataclasses import dataclass

from sqlalchemy import Engine

from ledger.stores import Store
from service.auth.caller import Caller
from service.limits.rate import RateLimiter
from service.settings import Settings
from service.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class Resources:
    """The ledger, the artefacts, the way to wake workers, the settings, and for whom all this is done."""

    engine: Engine
    artefacts: Store
    wakeups: Wakeups
    settings: Settings
    caller: Caller
    rates: RateLimiter

    @property
    def tenant(self) -> str:
        """Whose rows and files are at hand."""
        return self.caller.tenant
