"""From a request's signal to the verifier that judges by it."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from workers.errors import AnalysisFault, WorkerError
from workers.outbound.address import target_of
from workers.verifiers.behaviour import LabellingVerifier, build_labeller
from workers.verifiers.choice import ChoiceVerifier
from workers.verifiers.compiled import compile_pattern
from workers.verifiers.contains import ContainsVerifier
from workers.verifiers.demonstrated import DemonstrationVerifier
from workers.verifiers.endpoint import EndpointVerifier, with_secrets
from workers.verifiers.exact import ExactVerifier
from workers.verifiers.extraction import build_extraction
from workers.verifiers.json_document import JsonSchemaVerifier, schema_text
from workers.verifiers.judgement import Verifier
from workers.verifiers.mathematics import MathVerifier
from workers.verifiers.means import Means
from workers.verifiers.numeric import NumericVerifier
from workers.verifiers.pattern import PatternVerifier
from workers.verifiers.programs import ProgramVerifier
from workers.verifiers.reward import RewardVerifier

Settings = dict[str, Any]


class UnknownSignalError(WorkerError):
    """A signal that this worker does not know."""

    code = "unknown_signal"


def build_verifier(signal: Settings, means: Means | None = None) -> Verifier:
    """Build the verifier of a signal with every default filled in.

    Args:
        signal: The signal.
        means: What this worker lends; its children are started when first needed.

    Raises:
        UnknownSignalError: no verifier of that kind.
        PatternError: RE2 refuses a pattern of the signal.
    """
    build = _BUILDERS.get(signal["kind"])
    if build is None:
        raise UnknownSignalError(f"no verifier of kind {signal['kind']!r} on this worker; upgrade it")
    verifier = build(signal, means or Means())
    if signal["behaviour"] is None:
        return verifier
    return LabellingVerifier(verifier, build_labeller(signal["behaviour"]))


def version_of(signal: Settings) -> str:
    """The version of a signal's verifier, without building it."""
    return f"{signal['kind']}/{_REVISIONS.get(signal['kind'], 1)}"


def _exact(signal: Settings, means: Means) -> Verifier:
    return ExactVerifier(build_extraction(signal["extract"]))


def _numeric(signal: Settings, means: Means) -> Verifier:
    absolute, relative = (Decimal(str(signal[f"{name}_tolerance"])) for name in ("absolute", "relative"))
    return NumericVerifier(build_extraction(signal["extract"]), absolute, relative)


def _regex(signal: Settings, means: Means) -> Verifier:
    pattern = None if signal["pattern"] is None else compile_pattern(signal["pattern"])
    return PatternVerifier(build_extraction(signal["extract"]), pattern, signal["match"])


def _choice(signal: Settings, means: Means) -> Verifier:
    return ChoiceVerifier(build_extraction(signal["extract"]))


def _contains(signal: Settings, means: Means) -> Verifier:
    return ContainsVerifier(
        build_extraction(signal["extract"]),
        ignore_case=signal["ignore_case"],
        whole_words=signal["whole_words"],
        every=signal["match"] == "all",
    )


def _math(signal: Settings, means: Means) -> Verifier:
    return MathVerifier(build_extraction(signal["extract"]), means.children("math"))


def _json_schema(signal: Settings, means: Means) -> Verifier:
    schema = None if signal["json_schema"] is None else schema_text(signal["json_schema"])
    return JsonSchemaVerifier(build_extraction(signal["extract"]), schema, means.children("json_schema"))


def _python(signal: Settings, means: Means) -> Verifier:
    return ProgramVerifier(
        build_extraction(signal["extract"]),
        means.sandbox(),
        seconds=signal["seconds"],
        memory_bytes=signal["memory_mb"] << 20,
        after_prompt=signal["program"] == "prompt_and_completion",
    )


def _http(signal: Settings, means: Means) -> Verifier:
    allowed, url = means.allowed, signal["url"]
    if not (allowed.http_hosts or allowed.http_loopback):
        raise AnalysisFault(
            "signal_not_allowed",
            "the signal `http` is off on this worker; its operator can set TILTSCOPE_HTTP_SIGNAL_HOSTS",
            "/signal/kind",
        )
    check = partial(target_of, url, hosts=allowed.http_hosts, loopback=allowed.http_loopback)
    secrets = allowed.secrets.get(urlsplit(url).hostname or "", {})
    return EndpointVerifier(
        target=check,
        headers=with_secrets(signal["headers"], secrets),
        body=signal["body"],
        reward_at=signal["reward_at"],
        behaviour_at=signal["behaviour_at"],
        success_threshold=signal["success_threshold"],
        batch_size=signal["batch_size"],
        timeout_seconds=signal["timeout_seconds"],
        retries=signal["retries"],
    )


def _reward_model(signal: Settings, means: Means) -> Verifier:
    if means.rewards is None:
        raise AnalysisFault("signal_not_allowed", "this process has no reward models", "/signal/kind")
    means.rewards.check(signal["model"])
    return RewardVerifier(
        partial(means.rewards.logits, signal["model"]),
        signal["label"],
        signal["activation"],
        signal["success_threshold"],
    )


def _demonstrations(signal: Settings, means: Means) -> Verifier:
    return DemonstrationVerifier()


_REVISIONS: Final[dict[str, int]] = {"demonstrations": 2}
"""Of kinds whose verifier has changed since its first: the same text may be judged otherwise."""

_BUILDERS: Final[dict[str, Callable[[Settings, Means], Verifier]]] = {
    "exact": _exact,
    "numeric": _numeric,
    "regex": _regex,
    "choice": _choice,
    "contains": _contains,
    "math": _math,
    "json_schema": _json_schema,
    "python": _python,
    "http": _http,
    "reward_model": _reward_model,
    "demonstrations": _demonstrations,
}
