"""What use cases work with; built once, in `service.app`."""

from dataclasses import dataclass

from sqlalchemy import Engine

from ledger.stores import Store
from service.settings import Settings
from service.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class Resources:
    """The ledger, the artefacts, the way to wake workers, and the settings."""

    engine: Engine
    artefacts: Store
    wakeups: Wakeups
    settings: Settings
