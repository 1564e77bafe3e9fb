"""Whether the registry has the models a request names, and they can do what it asks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row

from api_schemas.participants import ImportParticipant, ModelParticipant
from api_schemas.requests import AnalysisRequest
from api_schemas.signals import RewardModelSignal
from service.analyses.findings import Finding

ModelRow = Row[Any]

CLASSIFIER: Final = "ForSequenceClassification"
"""How Transformers' architectures with such a head are named."""


def check_models(
    request: AnalysisRequest, found: Mapping[str, ModelRow], known: Sequence[str]
) -> list[Finding]:
    """Check every participant.

    Args:
        request: The request.
        found: Registry rows of the models it names, by id.
        known: Ids in the registry, to help with a typing error.
    """
    findings = [
        finding
        for pointer, model_id in participants(request).items()
        for finding in _check_side(
            pointer, model_id, found.get(model_id), known, request.policy.max_new_tokens
        )
    ]
    findings += [
        finding
        for place, model_id in reward_models(request).items()
        for finding in _check_reward(place, model_id, found.get(model_id), known)
    ]
    return findings or _check_tokenizers(request, found)


def participants(request: AnalysisRequest) -> dict[str, str]:
    """Model id of everyone who takes part, drawing or not, by where the request names it."""
    if request.teacher is None:
        return sides(request)
    return {**sides(request), "/teacher/model": request.teacher.model}


def sides(request: AnalysisRequest) -> dict[str, str]:
    """Model id of each side that is a model, by where it names it: those that draw."""
    named = {
        f"/{name}/model": side.model
        for name, side in {"reference": request.reference, "candidate": request.candidate}.items()
        if isinstance(side, ModelParticipant)
    }
    for index, one in enumerate(request.candidates or ()):
        named[f"/candidates/{index}/model"] = one.model
    return named


def imported_sides(request: AnalysisRequest) -> dict[str, str]:
    """Import id of each side that is an imported log."""
    sides = {"reference": request.reference, "candidate": request.candidate}
    return {name: side.import_id for name, side in sides.items() if isinstance(side, ImportParticipant)}


def reward_models(request: AnalysisRequest) -> dict[str, str]:
    """Registry id of each reward model that judges, by the place that names it."""
    signals = {"signal": request.signal, "second_signal": request.second_signal}
    return {place: signal.model for place, signal in signals.items() if isinstance(signal, RewardModelSignal)}


def _check_reward(place: str, model_id: str, row: ModelRow | None, known: Sequence[str]) -> Iterator[Finding]:
    yield from _check_side(f"/{place}/model", model_id, row, known, 0)
    architecture = None if row is None or row.state != "ready" else row.architecture
    if architecture is not None and not architecture.endswith(CLASSIFIER):
        yield Finding(
            "unsupported_model",
            f"`{model_id}` is a {architecture}, and a reward model has a sequence-classification head",
            f"/{place}/model",
        )


def _check_side(
    pointer: str, model_id: str, row: ModelRow | None, known: Sequence[str], new_tokens: int
) -> Iterator[Finding]:
    if row is None:
        offer = f"the registry has: {', '.join(known)}" if known else "the registry is empty"
        yield Finding("unknown_model", f"no model `{model_id}`; {offer}", pointer)
    elif row.state != "ready":
        reason = row.error or "it could not be read"
        yield Finding("invalid_model", f"model `{model_id}` cannot be used: {reason}", pointer)
    elif row.context_length is not None and new_tokens >= row.context_length:
        yield Finding(
            "context_exceeded",
            f"max_new_tokens ({new_tokens}) leaves no room for a prompt in the context of `{model_id}`, "
            f"{row.context_length} tokens; allow fewer",
            "/policy/max_new_tokens",
        )


def _check_tokenizers(request: AnalysisRequest, found: Mapping[str, ModelRow]) -> list[Finding]:
    """Kinds that are about KL need one tokenizer for everyone."""
    if request.kind not in ("free_energy", "trajectory"):
        return []
    named = participants(request)
    reference = named["/reference/model"]
    return [
        Finding(
            "tokenizer_mismatch",
            f"`{reference}` and `{model_id}` have different tokenizers: a KL between distributions over "
            "different tokens does not exist; " + _instead(pointer),
            pointer,
        )
        for pointer, model_id in named.items()
        if found[model_id].tokenizer_digest != found[reference].tokenizer_digest
    ]


def _instead(pointer: str) -> str:
    if pointer == "/teacher/model":
        return "leave `teacher` out, or name one of the reference's tokenizer"
    return "ask for kind `capability` or `support`"
