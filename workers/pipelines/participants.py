"""The models that take part in an analysis, as the registry knows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.engines.digests import model_key
from workers.pipelines.spec import CANDIDATE, REFERENCE


@dataclass(frozen=True, slots=True)
class Participant:
    """One side's model, or the teacher's.

    Attributes:
        stream: The participant's stream; `teacher`, which is none.
        model_id: Its registry id.
        path: Its folder; an adapter's, if it is one.
        weights_digest: What its weights are, by content; those of its base, if it is an adapter.
        adapter_digest: What its adapter is, by content, or None.
        tokenizer_digest: What its tokenizer is, by content.
        context_length: Longest sequence, or None.
        parameters: Weights, or None; an adapter's alone, if it is one.
        base_path: The folder of an adapter's base, or None.
        imported: Whether it is no model but a log; then the digest is the log's.
    """

    stream: str
    model_id: str
    path: str
    weights_digest: str
    adapter_digest: str | None
    tokenizer_digest: str
    context_length: int | None
    parameters: int | None
    base_path: str | None = None
    imported: bool = False

    @property
    def model_key(self) -> str:
        """What its shards name it by; see `workers.engines.digests.model_key`."""
        return model_key(self.weights_digest, self.adapter_digest)

    @classmethod
    def from_import(cls, stream: str, imported: Mapping[str, Any]) -> "Participant":
        """An imported log: by its content, with a tokenizer that nobody shares because nobody knows it."""
        return cls(
            stream=stream,
            model_id=imported["id"],
            path="",
            weights_digest=imported["sha256"],
            adapter_digest=None,
            tokenizer_digest=f"unknown:{stream}",
            context_length=None,
            parameters=None,
            imported=True,
        )

    @classmethod
    def from_message(cls, stream: str, model: Mapping[str, Any]) -> "Participant":
        """Read a registry row."""
        return cls(
            stream=stream,
            model_id=model["id"],
            path=model["path"],
            weights_digest=model["weights_digest"],
            adapter_digest=model["adapter_digest"],
            tokenizer_digest=model["tokenizer_digest"],
            context_length=model["context_length"],
            parameters=model["parameters"],
            base_path=model.get("base_path"),
        )


def share_tokenizer(participants: Mapping[str, Participant], other: str = CANDIDATE) -> bool:
    """Whether token-level terms between the reference and another participant exist at all."""
    if other not in participants:
        return False
    return participants[REFERENCE].tokenizer_digest == participants[other].tokenizer_digest


def are_identical(participants: Mapping[str, Participant]) -> bool:
    """Whether both sides are one model, by content: an A/A comparison."""
    if CANDIDATE not in participants:
        return False
    sides = [participants[REFERENCE], participants[CANDIDATE]]
    return len({(s.weights_digest, s.adapter_digest, s.tokenizer_digest) for s in sides}) == 1
