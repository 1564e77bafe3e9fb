"""A shard that this process runs, with what the process offers."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import structlog
import torch

from ledger.errors import ArtefactCorrupt
from ledger.states import MODEL_WORKS
from workers.errors import Aborted
from workers.host.context import HostContext
from workers.host.engine_room import EngineRoom
from workers.host.means import lent_means
from workers.host.reward_room import RewardRoom
from workers.host.sides import sides_of
from workers.host.storage import store_file
from workers.pipelines.committed import Committed, read_committed
from workers.pipelines.judge import Judge
from workers.pipelines.shards import Item
from workers.pipelines.tables import SAMPLES, from_parquet, of_items, to_parquet

log = structlog.get_logger(__name__)

Message = Mapping[str, Any]


class Shard:
    """A run message with what its process offers."""

    def __init__(self, message: Message, context: HostContext) -> None:
        self.message = message
        self.context = context
        self.row: Message = message["shard"]
        self.sides = sides_of(message, context)
        self.spec = self.sides.spec
        self.participants = self.sides.participants

    @property
    def room(self) -> EngineRoom:
        """The models of this process."""
        if "room" not in self.context.cache:
            settings = self.context.settings
            self.context.cache["room"] = EngineRoom(
                capacity=settings.resident_models if settings.works & MODEL_WORKS else None,
                threads=settings.threads,
                gpu_precision=getattr(torch, settings.gpu_precision),
            )
        room: EngineRoom = self.context.cache["room"]
        return room

    @property
    def judge(self) -> Judge:
        """The verifiers of this process, their own processes warm."""
        if "judge" not in self.context.cache:
            self.context.cache["rewards"] = rewards = RewardRoom()
            self.context.cache["judge"] = Judge(lent_means(self.context.settings, rewards))
        self.context.cache["rewards"].expect(self.message["reward_models"])
        judge: Judge = self.context.cache["judge"]
        return judge

    @property
    def items(self) -> list[Item]:
        """Prompt indices and sample ranges."""
        return [(prompt, low, high) for prompt, low, high in self.row["items"]]

    def read(self, source: Message) -> bytes:
        """The bytes of a committed artefact, its hash checked."""
        return self.context.store.open_verified(source["artefact_key"], source["sha256"])

    def store(self, name: str, data: bytes) -> dict[str, Any]:
        """Store bytes under a name that no other attempt can have."""
        return store_file(self.message, self.context, name, data)

    def table(self, table: pa.Table) -> dict[str, Any]:
        """Store a table as the shard's artefact."""
        stored = self.store(f"{self.row['work']}.parquet", to_parquet(table))
        return {"key": stored["key"], "sha256": stored["sha256"], "n_rows": table.num_rows}

    def drawn_samples(self) -> pa.Table:
        """The samples this shard depends on, without those that are another shard's or nobody's to read."""
        (source,) = self.message["inputs"]
        return of_items(from_parquet(self.read(source), SAMPLES), self.items)

    def cached_samples(self) -> Iterator[pa.Table]:
        """Samples that other analyses drew; what is gone or damaged meanwhile is drawn again."""
        for source in self.message.get("cached", ()):
            try:
                yield from_parquet(self.read(source), SAMPLES)
            except ArtefactCorrupt as error:
                log.warning("cached_samples_unusable", error=type(error).__name__)

    def committed(self, *, with_samples: bool) -> Committed:
        """All committed rows of the analysis."""
        message = self.message
        return read_committed(
            self.spec, message["inputs"], message["failures"], self.read, with_samples=with_samples
        )

    def stop_if_asked(self) -> None:
        """Raise Aborted if the supervisor wants this shard stopped."""
        if self.context.aborted():
            raise Aborted("the supervisor asked to stop")
