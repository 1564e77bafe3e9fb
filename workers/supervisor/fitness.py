"""Whether this worker, rather than the shards, is at fault."""

from typing import Final

from workers.supervisor.run import Ending

SHARDS_IN_A_ROW: Final = 3
"""Different shards that failed here one after the other, with no success in between."""

STARTS_IN_A_ROW: Final = 3
"""Engines that did not become ready: they died, hung, or failed the probe with known answers."""

_FAILURES: Final = frozenset({Ending.FAILED, Ending.STALLED, Ending.CRASHED})


class Fitness:
    """Counts what goes wrong in a row."""

    def __init__(self) -> None:
        self._failed: list[str] = []
        self._starts = 0

    def shard_ended(self, shard_id: str, ending: Ending, *, blames_shard: bool = True) -> None:
        """Take note of how a run ended.

        Args:
            shard_id: Whose.
            ending: How; being stopped says nothing.
            blames_shard: Whether a failure may be the worker's doing: not if the analysis can never
                succeed, nor if the artefact store is full.
        """
        if ending is Ending.DONE:
            self._failed.clear()
        elif ending in _FAILURES and blames_shard and shard_id not in self._failed:
            self._failed.append(shard_id)

    def engine_started(self, *, ready: bool) -> None:
        """Take note of whether an engine became ready."""
        self._starts = 0 if ready else self._starts + 1

    @property
    def why_unfit(self) -> str | None:
        """Why this worker should retire; None while nothing says so."""
        if len(self._failed) >= SHARDS_IN_A_ROW:
            return f"{SHARDS_IN_A_ROW} different shards failed here in a row"
        if self._starts >= STARTS_IN_A_ROW:
            return f"{STARTS_IN_A_ROW} engines in a row did not become ready"
        return None
