"""The frame of a result: what every number is relative to."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from workers.pipelines.document import Json
from workers.pipelines.participants import Participant
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream
from workers.verifiers.registry import version_of


def frame(spec: AnalysisSpec, participants: Mapping[str, Participant]) -> Json:
    """What every number is relative to: models, policy, signal, budget.

    An imported side has a policy of its own: what its log was drawn by.
    """
    sides = {
        stream: {
            "model": side.model_id,
            "source": "import" if side.imported else "model",
            "weights_digest": side.weights_digest,
            "adapter_digest": side.adapter_digest,
            "tokenizer_digest": side.tokenizer_digest,
            "parameters": side.parameters,
            **({"policy": spec.streams[stream].policy.canonical()} if side.imported else {}),
        }
        for stream, side in participants.items()
    }
    budget = {name: getattr(spec.budget, name) for name in spec.budget.__slots__}
    decision = {name: getattr(spec.thresholds, name) for name in spec.thresholds.__slots__}
    arms = [*spec.elicitation, *spec.assisted]
    return {
        **sides,
        "policy": spec.policy.canonical(),
        **({"arms": [_arm(arm) for arm in arms]} if arms else {}),
        "signal": {**spec.signal, "version": version_of(spec.signal)},
        **_further_judges(spec),
        "budget": budget,
        "decision": decision,
        "prompts": len(spec.prompts),
        "seed": spec.seed,
        "software": {"tiltscope-server": _version()},
    }


def _arm(arm: Stream) -> Json:
    rendering = arm.rendering
    return {
        "name": arm.arm,
        "role": arm.role,
        "policy": arm.policy.canonical(),
        "prefix": rendering.prefix,
        "template": rendering.template,
        "chat_template": rendering.chat_template,
        "demonstrations": [
            {"prompt": shown.prompt, "completion": shown.completion} for shown in rendering.demonstrations
        ],
        "separator": rendering.separator,
    }


def _further_judges(spec: AnalysisSpec) -> Json:
    """The second verifier and the audit, where there are any; labelled texts by their number."""
    found: Json = {}
    if spec.second_signal is not None:
        found["second_signal"] = {**spec.second_signal, "version": version_of(spec.second_signal)}
    if spec.audit_request is not None:
        texts = spec.audit_request["texts"]
        found["audit"] = spec.audit_request["counts"] or {"texts": len(texts)}
    return found


@cache
def _version() -> str:
    return version("tiltscope-server")  # reads files of the installation
