"""Whether a signal can judge the prompts it is given."""

from collections.abc import Iterable, Iterator

from api_schemas.behaviours import AnsweredBehaviour, CapturedBehaviour, NamedBehaviour
from api_schemas.prompts import Prompt
from api_schemas.signals import HttpSignal, JsonSchemaSignal, RegexSignal, Signal
from service.analyses.answer_checks import check_answers, needs_answers
from service.analyses.findings import Finding
from service.analyses.pattern_checks import pattern_fault
from service.analyses.schema_checks import schema_fault
from service.offers import Offers

WITHOUT_ANSWER_TO_NAME = frozenset({"json_schema"})
"""Signals whose accepted answers are no answers to label a success with."""


def check_signal(
    signal: Signal, prompts: Iterable[Prompt], *, max_patterns: int, offers: Offers, at: str = "/signal"
) -> Iterator[Finding]:
    """Check the signal's patterns and every prompt's answers against what its verifier needs.

    Args:
        signal: The signal.
        prompts: The prompts, in order; a finding is at its place as if they were inline.
        max_patterns: Distinct patterns to compile at most.
        offers: What this deployment offers.
        at: JSON Pointer of the signal in the request.
    """
    if refusal := offers.refusal(signal.kind):
        yield Finding("signal_unavailable", refusal, f"{at}/kind")
        return
    yield from _check_url(signal, offers, at)
    yield from _check_patterns(signal, at)
    yield from _check_schema(signal, at)
    yield from _check_behaviour(signal, at)
    yield from check_answers(signal, prompts, max_patterns)


def _check_url(signal: Signal, offers: Offers, at: str) -> Iterator[Finding]:
    if isinstance(signal, HttpSignal) and (refusal := offers.url_refusal(signal.url)):
        yield Finding("url_refused", refusal, f"{at}/url")


def _check_patterns(signal: Signal, at: str) -> Iterator[Finding]:
    places = {f"{at}/extract/pattern": signal.extract.pattern if signal.extract else None}
    if isinstance(signal, RegexSignal):
        places[f"{at}/pattern"] = signal.pattern
    if isinstance(signal.behaviour, CapturedBehaviour):
        places[f"{at}/behaviour/pattern"] = signal.behaviour.pattern
    if isinstance(signal.behaviour, NamedBehaviour):
        for number, named in enumerate(signal.behaviour.patterns):
            places[f"{at}/behaviour/patterns/{number}/pattern"] = named.pattern
    for pointer, pattern in places.items():
        if pattern is not None and (fault := pattern_fault(pattern)):
            yield Finding("invalid_pattern", fault, pointer)


def _check_schema(signal: Signal, at: str) -> Iterator[Finding]:
    if not isinstance(signal, JsonSchemaSignal) or signal.json_schema is None:
        return
    if fault := schema_fault(signal.json_schema):
        yield Finding("invalid_schema", fault, f"{at}/json_schema")


def _check_behaviour(signal: Signal, at: str) -> Iterator[Finding]:
    names_answers = needs_answers(signal) and signal.kind not in WITHOUT_ANSWER_TO_NAME
    if isinstance(signal.behaviour, AnsweredBehaviour) and not names_answers:
        yield Finding(
            "behaviour_without_answers",
            f"`by: answer` labels a success with the answer it gave, and this `{signal.kind}` signal "
            "compares with none; label by `capture` or `patterns`",
            f"{at}/behaviour/by",
        )
