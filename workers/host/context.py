"""What the code that executes a shard sees of its process."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from ledger.stores import Store
from workers.settings import Settings


@dataclass(slots=True)
class HostContext:
    """The surroundings of a shard's execution; the same object for all shards of a process.

    Attributes:
        store: Where artefacts are read and written.
        settings: The process's settings; without the addresses of ledger and broker, which no engine needs.
        report: Receives the number of rows finished so far.
        asked_to_stop: Whether the supervisor wants the running shard stopped.
        cache: Whatever should outlive a shard, such as loaded models.
        resident: Weights digests loaded now: shards that want them come here first.
    """

    store: Store
    settings: Settings
    report: Callable[[int], None]
    asked_to_stop: Callable[[], bool]
    cache: dict[str, Any] = field(default_factory=dict)
    resident: Collection[str] = ()

    def progress(self, completed: int) -> None:
        """Report the rows finished so far; also a sign of life, so call it between batches at least."""
        self.report(completed)

    def aborted(self) -> bool:
        """Whether to stop: then raise `workers.errors.Aborted`. Ask between batches."""
        return self.asked_to_stop()
