"""From a request's signal to the verifier that judges by it."""

from decimal import Decimal
from typing import Any

from workers.errors import WorkerError
from workers.verifiers.behaviour import LabellingVerifier, build_labeller
from workers.verifiers.compiled import compile_pattern
from workers.verifiers.exact import ExactVerifier
from workers.verifiers.extraction import build_extraction
from workers.verifiers.judgement import Verifier
from workers.verifiers.numeric import NumericVerifier
from workers.verifiers.pattern import PatternVerifier


class UnknownSignalError(WorkerError):
    """A signal that this worker does not know."""

    code = "unknown_signal"


def build_verifier(signal: dict[str, Any]) -> Verifier:
    """Build the verifier of a signal with every default filled in.

    Raises:
        UnknownSignalError: no verifier of that kind.
        PatternError: RE2 refuses a pattern of the signal.
    """
    verifier = _build(signal)
    if signal["behaviour"] is None:
        return verifier
    return LabellingVerifier(verifier, build_labeller(signal["behaviour"]))


def _build(signal: dict[str, Any]) -> Verifier:
    extraction = build_extraction(signal["extract"])
    match signal["kind"]:
        case "exact":
            return ExactVerifier(extraction)
        case "numeric":
            return NumericVerifier(
                extraction,
                Decimal(str(signal["absolute_tolerance"])),
                Decimal(str(signal["relative_tolerance"])),
            )
        case "regex":
            pattern = signal["pattern"]
            return PatternVerifier(
                extraction, None if pattern is None else compile_pattern(pattern), signal["match"]
            )
        case kind:
            raise UnknownSignalError(f"no verifier of kind {kind!r} on this worker; upgrade it")
