"""The models a host holds in memory."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
import transformers.utils.logging as transformers_logging

from workers.engines.causal_model import ModelIdentity
from workers.engines.digests import adapter_digest, has_tokenizer, model_key, tokenizer_digest
from workers.engines.errors import UnsafeModelFolder, UnsupportedModel
from workers.engines.loading import load_engine, load_tokenizer
from workers.engines.transformers_engine import TransformersEngine
from workers.errors import AnalysisFault
from workers.pipelines.participants import Participant

MAX_ADAPTERS: Final = 8
"""Adapters attached to one base at once; each costs a few per cent of the base's memory, and a switch between
two walks over all of them."""

MAX_TOKENIZERS: Final = 8
"""Held without weights, each some tens of megabytes: the plan of an analysis renders with one or two."""


@dataclass
class _Resident:
    """A base in memory, and the adapters attached to it, the least recently used one first."""

    base: TransformersEngine
    adapted: OrderedDict[str, TransformersEngine] = field(default_factory=OrderedDict)


def device() -> str:
    """Where models run in this process."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class EngineRoom:
    """Loaded models by content, the least recently used one leaving first.

    A base and its adapters are one model in memory.

    Args:
        capacity: Bases held at once; a pair and its next candidate fit in three. None where none may be: a
            host that plans and judges beside another that draws would hold every model a second time.
        threads: Torch's threads.
        gpu_precision: Of the weights on a GPU; on a CPU they are float32.
    """

    def __init__(
        self, *, capacity: int | None, threads: int, gpu_precision: torch.dtype = torch.bfloat16
    ) -> None:
        torch.set_num_threads(threads)
        transformers_logging.disable_progress_bar()  # a log file is no terminal
        self._capacity = capacity
        self._gpu_precision = gpu_precision
        self._held: OrderedDict[str, _Resident] = OrderedDict()
        self._tokenizers: OrderedDict[tuple[str, str], Any] = OrderedDict()

    @property
    def resident(self) -> list[str]:
        """Keys (see `model_key`) of the models in memory."""
        return sorted(
            model_key(weights, adapter)
            for weights, held in self._held.items()
            for adapter in [None, *held.adapted]
        )

    def get(self, participant: Participant) -> TransformersEngine:
        """The participant's model, loaded if need be.

        Raises:
            AnalysisFault: its folder is gone, unusable, or no longer what the registry recorded.
            RuntimeError: this host loads no models.
        """
        if self._capacity is None:
            raise RuntimeError("a host that neither draws nor scores was asked to load a model")
        weights = participant.weights_digest
        with _faults_of(participant):
            if weights not in self._held:
                while len(self._held) >= self._capacity:
                    self._held.popitem(last=False)
                self._held[weights] = _Resident(self._load(participant))
            self._held.move_to_end(weights)
            held = self._held[weights]
            if participant.adapter_digest is None:
                return held.base
            return self._adapted(held, participant, participant.adapter_digest)

    def tokenizer(self, participant: Participant) -> Any:
        """A model's tokenizer, an adapter's own where it brings one; weights are not loaded for it.

        Raises:
            AnalysisFault: its folder is gone or unusable, or its tokenizer no longer what the registry
                recorded.
        """
        if (held := self._resident_engine(participant)) is not None:
            return held.tokenizer
        # By what the files say now: one that was changed under an analysis is refused, though it is held.
        with _faults_of(participant):
            folder = _tokenizer_folder(participant)
            found = _digest(participant, tokenizer_digest, folder)
            if found != participant.tokenizer_digest:
                raise _changed(participant)
            # A chat template is no part of the digest, so equal ones do not share a tokenizer.
            key = (str(folder), found)
            if key not in self._tokenizers:
                while len(self._tokenizers) >= MAX_TOKENIZERS:
                    self._tokenizers.popitem(last=False)
                self._tokenizers[key] = load_tokenizer(folder)
            self._tokenizers.move_to_end(key)
            return self._tokenizers[key]

    def chat_template(self, participant: Participant) -> str:
        """Text of a model's chat template; its weights are not loaded for it.

        Raises:
            AnalysisFault: its folder is gone or changed, or it has none.
        """
        tokenizer = self.tokenizer(participant)
        if not tokenizer.chat_template:
            raise AnalysisFault(
                "no_chat_template",
                f"the tokenizer of model {participant.model_id!r} has no chat template to render an arm with",
            )
        return str(tokenizer.get_chat_template())

    def _resident_engine(self, participant: Participant) -> TransformersEngine | None:
        held = self._held.get(participant.weights_digest)
        if held is None or participant.adapter_digest is None:
            return None if held is None else held.base
        return held.adapted.get(participant.adapter_digest)

    def _load(self, participant: Participant) -> TransformersEngine:
        folder = _present(participant, participant.base_path or participant.path)
        place = device()
        precision = self._gpu_precision if place == "cuda" else torch.float32
        engine = load_engine(folder, device=place, dtype=precision)
        found = (engine.identity.weights_digest, engine.identity.tokenizer_digest)
        if found != (participant.weights_digest, participant.tokenizer_digest):
            raise _changed(participant)
        return engine

    def _adapted(self, held: _Resident, participant: Participant, digest: str) -> TransformersEngine:
        # Importing PEFT takes a second, and most hosts never see an adapter.
        from workers.engines.adapter_folder import checked_adapter
        from workers.engines.adapters import attach_adapter, detach_adapter

        if digest not in held.adapted:
            folder = _present(participant, participant.path)
            if _digest(participant, adapter_digest, folder) != digest:
                raise _changed(participant)
            while len(held.adapted) >= MAX_ADAPTERS:
                detach_adapter(held.adapted.popitem(last=False)[1])
            tokenizer = held.base.identity.tokenizer_digest
            held.adapted[digest] = attach_adapter(
                held.base,
                checked_adapter(folder, base_tokenizer=tokenizer),
                ModelIdentity(participant.weights_digest, tokenizer, digest),
            )
        held.adapted.move_to_end(digest)
        return held.adapted[digest]


@contextmanager
def _faults_of(participant: Participant) -> Iterator[None]:
    """A model that cannot be used ends its analysis: no shard of it could ever succeed."""
    try:
        yield
    except (UnsafeModelFolder, UnsupportedModel) as error:
        detail = f"model {participant.model_id!r} cannot be used: {error}"
        raise AnalysisFault(error.code, detail) from error


def _tokenizer_folder(participant: Participant) -> Path:
    """Where a model's tokenizer lies: an adapter may bring one, and with it a chat template of its own."""
    folder = _present(participant, participant.path)
    if participant.base_path is None or has_tokenizer(folder):
        return folder
    return _present(participant, participant.base_path)


def _digest(participant: Participant, digest: Callable[[Path], str], folder: Path) -> str:
    """A digest of files that the registry could read when the analysis was accepted."""
    try:
        return digest(folder)
    except (FileNotFoundError, ValueError) as error:
        raise _changed(participant) from error


def _present(participant: Participant, path: str) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise AnalysisFault(
            "model_missing",
            f"the folder of model {participant.model_id!r} is gone; put it back and resubmit",
        )
    return folder


def _changed(participant: Participant) -> AnalysisFault:
    return AnalysisFault(
        "model_changed",
        f"the files of model {participant.model_id!r} changed since the analysis was accepted; "
        "resubmit it to analyse what is there now",
    )
