"""The models a host holds in memory."""

from collections import OrderedDict
from pathlib import Path

import torch
import transformers.utils.logging as transformers_logging

from workers.engines.loading import load_engine
from workers.engines.transformers_engine import TransformersEngine
from workers.errors import AnalysisFault
from workers.pipelines.participants import Participant


def device() -> str:
    """Where models run in this process."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class EngineRoom:
    """Loaded models by content, the least recently used one leaving first.

    Args:
        capacity: Models held at once; a pair and its next candidate fit in three.
        threads: Torch's threads.
    """

    def __init__(self, *, capacity: int, threads: int) -> None:
        torch.set_num_threads(threads)
        transformers_logging.disable_progress_bar()  # a log file is no terminal
        self._capacity = capacity
        self._device = device()
        self._engines: OrderedDict[tuple[str, str | None], TransformersEngine] = OrderedDict()

    @property
    def resident(self) -> list[str]:
        """Weights digests of the models in memory."""
        return sorted({weights for weights, _ in self._engines})

    def get(self, participant: Participant) -> TransformersEngine:
        """The participant's model, loaded if need be.

        Raises:
            AnalysisFault: its folder is gone, unusable, or no longer what the registry recorded.
        """
        key = (participant.weights_digest, participant.adapter_digest)
        if key not in self._engines:
            while len(self._engines) >= self._capacity:
                self._engines.popitem(last=False)
            self._engines[key] = self._load(participant)
        self._engines.move_to_end(key)
        return self._engines[key]

    def _load(self, participant: Participant) -> TransformersEngine:
        folder = Path(participant.path)
        if not folder.is_dir():
            raise AnalysisFault(
                "model_missing",
                f"the folder of model {participant.model_id!r} is gone; put it back and resubmit",
            )
        engine = load_engine(folder, device=self._device)
        found = (engine.identity.weights_digest, engine.identity.tokenizer_digest)
        if found != (participant.weights_digest, participant.tokenizer_digest):
            raise AnalysisFault(
                "model_changed",
                f"the files of model {participant.model_id!r} changed since the analysis was accepted; "
                "resubmit it to analyse what is there now",
            )
        return engine
