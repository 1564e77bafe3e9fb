"""The reward models of a host, by content."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.engines.digests import tokenizer_digest, weights_digest
from workers.engines.errors import UnsafeModelFolder, UnsupportedModel
from workers.engines.known_answer import known_answer
from workers.engines.reward_model import RewardModel, load_reward_model
from workers.errors import AnalysisFault
from workers.host.engine_room import device


class RewardRoom:
    """Loads the reward model that an analysis names; one is held at a time.

    Args:
        rows: Registry rows of the reward models of the running shard, by id; see `expect`.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._rows = dict(rows or {})
        self._held: tuple[str, RewardModel] | None = None

    def expect(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """What the registry says of the models that the next judgements may name."""
        self._rows = dict(rows)

    def logits(self, model_id: str, pairs: Sequence[tuple[str, str]]) -> list[list[float] | None]:
        """Outputs of a model's head; see `RewardModel.logits`."""
        return self._model(model_id).logits(pairs)

    def check(self, model_id: str) -> None:
        """Load a model now.

        Raises:
            AnalysisFault: it is gone, changed, or no reward model.
        """
        self._model(model_id)

    def _model(self, model_id: str) -> RewardModel:
        row = self._rows.get(model_id)
        if row is None:
            raise AnalysisFault("unknown_model", f"no reward model `{model_id}` here", "/signal/model")
        digest = f"{row['weights_digest']}/{row['tokenizer_digest']}"
        if self._held is None or self._held[0] != digest:
            self._held = None
            self._held = (digest, self._load(model_id, row))
        return self._held[1]

    def _load(self, model_id: str, row: Mapping[str, Any]) -> RewardModel:
        folder = Path(row["path"])
        if not folder.is_dir():
            raise AnalysisFault(
                "model_missing",
                f"the folder of reward model `{model_id}` is gone; put it back and resubmit",
                "/signal/model",
            )
        if (wrong := known_answer(device())) is not None:
            raise RuntimeError(f"the device of reward models miscalculates: {wrong}")
        try:
            model = load_reward_model(folder, device=device())
            found = (weights_digest(folder), tokenizer_digest(folder))
        except (UnsafeModelFolder, UnsupportedModel) as error:
            raise AnalysisFault("unsupported_model", f"`{model_id}`: {error}", "/signal/model") from error
        if found != (row["weights_digest"], row["tokenizer_digest"]):
            raise AnalysisFault(
                "model_changed",
                f"the files of reward model `{model_id}` changed since the analysis was accepted",
                "/signal/model",
            )
        return model
